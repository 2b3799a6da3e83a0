"""Jobs of a sweep are composed as Hydra composes them; one that cannot be is refused by itself."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from peftlab.config.compose import opened_configs
from peftlab.config.job_loader import JobLoader, clear_refused
from peftlab.config.name import task_config
from peftlab.config.resolve import resolve
from peftlab.errors import UserError

Loaders = tuple[ConfigLoaderImpl, JobLoader, DictConfig]


@pytest.fixture(scope="module")
def loaders() -> Iterator[Loaders]:
    """Hydra's own, ours, and the config of a sweep."""
    with opened_configs():
        theirs: Any = GlobalHydra.instance().config_loader()
        master = theirs.load_configuration("config", ["peft.rank=1,2"], run_mode=RunMode.MULTIRUN)
        yield theirs, JobLoader(theirs.get_search_path()), master


@pytest.mark.parametrize(
    "words",
    [
        ["peft.rank=3", "seed=2"],
        ["placement.depth=0-2", "peft=bitfit", "+hydra.job.place=7", "fit.epochs=3"],
        ["experiment=methods", "peft=ssf", "peft@other=lora"],
        ["~experiment", "scaling=meta", "scaling/estimator=unrolled", "++optim.lr=0.1", "+peft.foo=2"],
        ["recipe=lift", "~peft.dropout", "optim.lr=${seed}", "seed=4"],
    ],
)
def test_a_job_is_what_hydra_makes_of_it(loaders: Loaders, words: list[str]) -> None:
    theirs, ours, master = loaders
    try:
        expected = theirs.load_sweep_config(master, words)
    except Exception:
        assert "refused" in ours.load_sweep_config(master, words)
        return
    for _ in range(2):  # the second from what the first has left
        found = ours.load_sweep_config(master, words)
        plain, same = (OmegaConf.to_container(one, resolve=False) for one in (found, expected))
        assert plain == same
        assert list(plain) == list(same)
        assert OmegaConf.is_struct(found)
        found.seed = 77  # of this job alone
        found.hydra.overrides.task.append("x=1")


def test_a_job_that_cannot_be_composed_is_refused_by_itself(loaders: Loaders) -> None:
    _, ours, master = loaders
    wrong = ours.load_sweep_config(master, ["peft=bitfit", "peft.rank=4", "seed=3", "+hydra.job.place=7"])
    assert list(wrong.hydra.overrides.task) == ["peft=bitfit", "peft.rank=4", "seed=3"]
    assert wrong.hydra.sweep.subdir.startswith("peft-bitfit_rank-4_seed-3-refused-")
    assert (wrong.seed, wrong.hydra.job.place) == (3, 7)
    with pytest.raises(UserError, match=r"peft\.rank=4 is not a key of peft"):
        resolve(task_config(wrong))
    right = ours.load_sweep_config(master, ["peft=bitfit"])
    assert right.peft._target_.endswith("Bitfit")


def test_what_is_left_of_refused_jobs_goes_and_nothing_else(tmp_path: Path) -> None:
    for name, state, more in (
        ("rank-4-refused-12345678", "failed", None),
        ("a-refused-run", "ok", None),
        ("b-refused-12345678", "failed", "metrics.jsonl"),
        ("rank-4-12345678", "failed", None),
    ):
        (tmp_path / name / ".hydra").mkdir(parents=True)
        (tmp_path / name / "status.json").write_text(json.dumps({"state": state}))
        if more is not None:
            (tmp_path / name / more).touch()
    (tmp_path / "c-refused-12345678").symlink_to(tmp_path / "rank-4-12345678")
    clear_refused(tmp_path)
    left = ["a-refused-run", "b-refused-12345678", "c-refused-12345678", "rank-4-12345678"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    clear_refused(tmp_path / "none")


def test_a_loader_is_sent_to_a_worker_without_what_it_remembers(loaders: Loaders) -> None:
    _, ours, master = loaders
    expected = ours.load_sweep_config(master, ["peft.rank=3"])
    sent = pickle.loads(pickle.dumps(ours))
    assert not sent._bases
    assert sent.load_sweep_config(master, ["peft.rank=3"]) == expected
