"""What a sweep stands on goes away while it runs, and comes back: its data, the room on the disk, the right to write."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fixtures.sweeps import facts
from PIL import Image

from peftlab.record import whole_file
from peftlab.search import stages

pytestmark = pytest.mark.slow
WORDS = ("-m", "backbone=tiny", "device=cpu", "dataset=image_folder", "fit.epochs=2", "fit.batch_size=8")
WORDS = (*WORDS, "peft.rank=2,3,4")
Call = Callable[..., SimpleNamespace]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two classes of a few pictures."""
    folder, rng = tmp_path / "data", np.random.default_rng(0)
    for split, number in (("train", 8), ("test", 4)):
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
            for index in range(number):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")
    return folder


def vanish(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    away = data.rename(data.with_name("away"))
    return lambda: away.rename(data)


def fails(number: int) -> Callable[[Path, pytest.MonkeyPatch], Callable[[], Any]]:
    """No file can take its place, as long as this lasts."""

    def start(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
        replace = os.replace

        def refuse(part: Path, path: Path) -> None:
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(whole_file.os, "replace", refuse)
        return lambda: monkeypatch.setattr(whole_file.os, "replace", replace)

    return start


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (vanish, "data is not a folder"),
        (fails(errno.ENOSPC), "cannot be used (No space left on device)"),
        (fails(errno.EROFS), "cannot be used (Read-only file system)"),
    ],
    ids=["data", "room", "right"],
)
@pytest.mark.usefixtures("fresh_trunk")
def test_one_job_fails_with_a_sentence_and_the_same_command_ends_all(
    call: Call, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, harm: Any, sentence: str
) -> None:
    words = (*WORDS, f"dataset.path={data}")
    assert call(*words, "hydra.sweep.dir=outputs/one").code == 0
    run, mend, begun = stages.run_found, list[Callable[[], Any]](), list[int]()

    def run_found(*given: Any, **more: Any) -> None:
        begun.append(1)
        if len(begun) == 2:
            mend.append(harm(data, monkeypatch))
        try:
            run(*given, **more)
        finally:
            while mend:
                mend.pop()()

    monkeypatch.setattr(stages, "run_found", run_found)
    said = call(*words, "hydra.sweep.dir=outputs/other")
    assert said.code == 1
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert "what is left is run by: peftlab -m" in said.err
    assert len(facts(tmp_path / "outputs" / "other")) == 2, "the next job ran"
    assert call(*words, "hydra.sweep.dir=outputs/other").code == 0
    assert facts(tmp_path / "outputs" / "other") == facts(tmp_path / "outputs" / "one")
    assert len(begun) == 4, "and nothing ran twice"
