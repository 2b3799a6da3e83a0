"""A plan asks the folders what is finished; the command's tests have the rest (tests/command/test_plan.py)."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from peftlab.build import cost
from peftlab.config.compose import opened_configs
from peftlab.config.identity import Identity
from peftlab.config.job import compose_jobs, current
from peftlab.engine.job import job_of
from peftlab.engine.plan import FINISHED, WRONG, Planned, plan, total
from peftlab.record.whole import files_of


def test_what_is_finished_and_what_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    monkeypatch.setattr(cost, "measured", lambda resolved, _: asked.append(resolved.seed))
    words = ["hydra.mode=MULTIRUN", f"hydra.sweep.dir={tmp_path}", "backbone=tiny", "seed=0,1,2"]
    jobs = [["backbone=tiny", f"seed={seed}"] for seed in (0, 1, 2)]
    with opened_configs():
        loader: Any = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", words, run_mode=RunMode.MULTIRUN)
        configs = list(compose_jobs(loader, master, jobs, 0))
        for config, state in zip(configs, ("ok", "interrupted"), strict=False):
            with current(config) as task:
                record = job_of(task).record
            record.identity = Identity(record.config)
            record.status("running")
            record.write("result.json", {"run_id": "1", "metrics": {}, "files": files_of(record.folder)})
            record.status(state)
            record.release()
        found = plan(configs)
    assert [job.state for job in found] == ["finished", "interrupted", "new"]
    assert [job.group for job in found] == [None, 1, 1]
    assert len(asked) == 1  # both cost the same


def test_the_total_counts_what_is_to_run_and_no_worker_shortens_the_longest() -> None:
    jobs = [
        Planned("a", {}, "new", step_s=1.0, steps=10, memory_mib=5.0),
        Planned("b", {}, "interrupted", step_s=2.0, steps=20, memory_mib=7.0),
        Planned("c", {}, FINISHED, step_s=9.0, steps=9, memory_mib=9.0),
        Planned("d", {}, WRONG),
        Planned("e", {}, "new", step_s=3.0),
    ]
    found = total(jobs, 2)
    assert (found.jobs, found.timed, found.train_s, found.wall_s, found.memory_mib) == (3, 2, 50.0, 40.0, 7.0)
    assert total(jobs[:1] * 4, 2).wall_s == 20.0
    assert total([], 3).memory_mib is None
