"""hydra/launcher=local from the command line, with workers that only note what they are given."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from peftlab.command import train
from peftlab.engine.job import Job
from peftlab.engine.local import Pool


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], [None]),
        (["hydra.launcher.interleave=1"], [1, 2, 4, None]),
        (["hydra.launcher.interleave=3"], [3, None]),
        (["hydra.launcher.interleave=5"], [5]),
        (["hydra.launcher.interleave=1", "fit.stop_after=2"], [2]),
    ],
)
def test_interleaved_jobs_are_given_in_rounds_that_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], parts: list[int | None]
) -> None:
    given: list[tuple[int, int | None]] = []

    def run(self: Pool, jobs: Iterator[Job], total: int, folder: Path) -> Iterator[tuple[int, str | None]]:
        for place, job in enumerate(jobs):
            assert job.record.number == place
            given.append((job.config["peft"]["rank"], job.config["fit"]["stop_after"]))
            yield place, None

    monkeypatch.setattr(Pool, "run", run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    argv = ["peftlab", "-m", "hydra/launcher=local", "fit.epochs=5", "peft.rank=2,4", *words]
    monkeypatch.setattr(sys, "argv", argv)
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit):
        train.main()
    GlobalHydra.instance().clear()
    assert given == [(rank, part) for part in parts for rank in (2, 4)]
