"""Jobs on one trunk end as they do apart, bit for bit; what goes wrong with one leaves the others alone."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.configs import composed as composed_config
from safetensors.torch import load_file

from peftlab.engine.fused import run_fused, run_jobs
from peftlab.engine.job import Job
from peftlab.engine.separate import run_job
from peftlab.network.network import Network
from peftlab.record.record import Record
from peftlab.run import fitting
from peftlab.run.state import Run

Config = Callable[..., dict[str, Any]]
SMALL = ("backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "device=cpu")
META = ("scaling=meta", "scaling.outer.every=2", "scaling.outer.warmup=2")
CELLS: dict[str, tuple[str, ...]] = {
    "lora": ("placement.depth=1", "peft.rank=2"),
    "meta": ("placement.depth=1", *META),
    "seed": ("placement.depth=1", "peft.rank=2", "seed=1"),
}
MORE: dict[str, tuple[str, ...]] = {
    "prompts": ("peft=vpt_deep", "placement.depth=1"),
    "selected": ("peft=bitfit",),
    "whole": ("peft=full", "optim.lr=1e-4"),
    "dropout": ("peft=adaptformer", "placement.depth=1", "peft.dropout=0.5"),
    "prefix": ("peft=prefix", "placement.depth=1"),
    "probe": ("peft=linear_probe",),
    "unrolled": (*META, "scaling/estimator=unrolled", "placement.depth=1"),
    "gated": ("scaling=gated", "placement.depth=1"),
    "learned": ("scaling=learned", "peft=adapter_houlsby"),
}


@pytest.fixture
def jobs(composed: Config, tmp_path: Path) -> Callable[..., list[Job]]:
    """`jobs("fused", lora=words)`: the jobs of a sweep in the folder `fused`, by the names of their own folders."""

    def make(sweep: str, cells: dict[str, tuple[str, ...]], *more: str) -> list[Job]:
        configs = {name: composed(*SMALL, *words, *more) for name, words in cells.items()}
        return [
            Job(config, Record(tmp_path / sweep / name, {}, config), sweep)
            for name, config in configs.items()
        ]

    return make


def together(found: list[Job]) -> list[tuple[int, str | None]]:
    return list(run_fused(found))


def status(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "status.json").read_text())
    return found


def rows(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "attempt"} for row in found]


def assert_same(one: Path, other: Path) -> None:
    """Bit for bit the same weights, gamma, losses and test numbers."""
    assert rows(one) == rows(other)
    first, second = (load_file(folder / "adapter.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    found, expected = (json.loads((folder / "result.json").read_text()) for folder in (one, other))
    assert found["metrics"] == expected["metrics"]
    assert found["run_id"] == expected["run_id"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, tuple[str, ...]], Path]:
    """The folder of a cell that was run by itself, once for all tests of this file."""

    @cache
    def make(name: str, words: tuple[str, ...]) -> Path:
        config = composed_config(*SMALL, *words)
        folder = tmp_path_factory.mktemp("alone") / name
        assert run_job(Job(config, Record(folder, {}, config), "apart")) is None
        return folder

    return make


@pytest.fixture
def apart(alone: Callable[[str, tuple[str, ...]], Path], tmp_path: Path) -> Callable[..., Path]:
    """The same cells one after another; the folder of the sweep."""

    def make(cells: dict[str, tuple[str, ...]]) -> Path:
        for name, words in cells.items():
            shutil.copytree(alone(name, words), tmp_path / "apart" / name)
        return tmp_path / "apart"

    return make


def test_together_is_what_they_are_apart_bit_for_bit(jobs: Any, apart: Any, tmp_path: Path) -> None:
    assert together(jobs("fused", CELLS)) == [(0, None), (1, None), (2, None)]
    expected = apart(CELLS)
    for name in CELLS:
        assert_same(tmp_path / "fused" / name, expected / name)


@pytest.mark.parametrize(
    "more",
    [
        ("fit.ema=0.8", "fit.select=best", "dataset.val_fraction=0.2"),
        ("fit.mixup=0.5", "fit.cutmix=1.0"),
        ("fit.prograd=1",),
    ],
)
def test_averages_mixed_images_and_held_steps_are_as_apart(
    jobs: Any, apart: Any, tmp_path: Path, more: tuple[str, ...]
) -> None:
    cells = {name: (*words, *more) for name, words in CELLS.items()}
    expected = apart(cells)
    assert not any(reason for _, reason in together(jobs("fused", cells)))
    for name in cells:
        assert_same(tmp_path / "fused" / name, expected / name)


def test_views_together_are_those_apart(jobs: Any, apart: Any, tmp_path: Path) -> None:
    more = ("dataset.views=five_crop", "fit.select=best", "dataset.val_fraction=0.2", "fit.epochs=1")
    cells = {name: (*CELLS[name], *more) for name in ("lora", "meta")}
    expected = apart(cells)
    assert not any(reason for _, reason in together(jobs("fused", cells)))
    for name in cells:
        assert_same(tmp_path / "fused" / name, expected / name)


def test_fitted_heads_together_are_those_apart(jobs: Any, apart: Any, tmp_path: Path) -> None:
    more = ("head.init=linear_probe", "placement.depth=1", "peft.rank=2")
    cells = {"cosine": more, "linear": ("head=linear", *more)}
    expected = apart(cells)
    assert not any(reason for _, reason in together(jobs("fused", cells)))
    for name in cells:
        assert_same(tmp_path / "fused" / name, expected / name)
    metrics = json.loads((expected / "linear" / "result.json").read_text())["metrics"]
    assert metrics["frozen/mean_acc"] is not None


@pytest.mark.slow
def test_every_kind_of_method_shares_a_trunk(jobs: Any, apart: Any, tmp_path: Path) -> None:
    cells = {**CELLS, **MORE}
    assert sorted(together(jobs("fused", cells))) == [(place, None) for place in range(len(cells))]
    expected = apart(cells)
    for name in cells:
        assert_same(tmp_path / "fused" / name, expected / name)


def test_the_blocks_below_the_first_sites_run_once(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Per training step of two cells at block 1, block 0 runs once and block 1 twice."""
    cells = {"one": ("placement.depth=1",), "two": ("placement.depth=1", "peft.rank=2")}
    calls = {0: 0, 1: 0}
    whole: list[Any] = []
    init = Network.__init__

    def watched(self: Any, backbone: Any, *given: Any, **named: Any) -> None:
        init(self, backbone, *given, **named)
        for index in calls if not whole else ():
            whole.append(backbone.model.blocks[index].mlp.register_forward_hook(count(index)))

    def count(index: int) -> Callable[..., None]:
        def hook(module: Any, args: Any, output: Any) -> None:
            calls[index] += 1

        return hook

    monkeypatch.setattr(Network, "__init__", watched)
    log = Run.log
    seen: list[tuple[int, int]] = []

    def logging(self: Run, at: int, row: dict[str, float]) -> None:
        log(self, at, row)
        seen.append((calls[0], calls[1]))

    monkeypatch.setattr(Run, "log", logging)
    try:
        together(jobs("fused", cells))
    finally:
        for handle in whole:
            handle.remove()
    steps = seen[::2]
    between = {(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(steps[1:6])}
    assert between == {(1, 2)}


def test_a_wrong_job_and_one_that_diverges_leave_the_others_alone(
    jobs: Any, apart: Any, tmp_path: Path
) -> None:
    good = {"good": ("placement.depth=1",)}
    cells = {
        "rank": ("peft.rank=0",),
        "wide": ("peft.rank=4000",),
        "far": ("scaling.value=1e6", "optim=sgd", "optim.lr=1000"),
        **good,
    }
    ended = dict(together(jobs("fused", cells)))
    assert ended == {0: None, 1: None, 2: None, 3: None}
    found = {name: status(tmp_path / "fused" / name)["state"] for name in cells}
    assert found == {"rank": "failed", "wide": "failed", "far": "diverged", "good": "ok"}
    assert_same(tmp_path / "fused" / "good", apart(good) / "good")


def test_what_breaks_for_all_is_run_one_after_another(
    jobs: Any, apart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = {name: CELLS[name] for name in ("lora", "meta")}
    expected = apart(cells)
    outputs, log, state = Network.outputs, Run.log, ["whole"]

    def logging(self: Run, at: int, row: dict[str, float]) -> None:
        log(self, at, row)
        if at == 7 and state == ["whole"]:
            state[0] = "armed"

    def once(self: Any, *args: Any) -> Any:
        if state == ["armed"]:
            state[0] = "done"
            raise MemoryError("no memory")
        return outputs(self, *args)

    monkeypatch.setattr(Run, "log", logging)
    monkeypatch.setattr(Network, "outputs", once)
    assert together(jobs("fused", cells)) == [(0, None), (1, None)]
    assert "MemoryError: no memory; the 2 jobs that are left run one after another" in capsys.readouterr().err
    for name in cells:
        assert_same(tmp_path / "fused" / name, expected / name)
        assert status(tmp_path / "fused" / name)["attempt"] == 2


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    log, done = Run.log, []

    def logging(self: Run, at: int, row: dict[str, float]) -> None:
        log(self, at, row)
        if at == step and not done:
            done.append(at)
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Run, "log", logging)


def test_an_interrupt_saves_all_and_the_same_command_goes_on(
    jobs: Any, apart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = {name: CELLS[name] for name in ("lora", "meta")}
    expected = apart(cells)
    with monkeypatch.context() as patch:
        stop_at(patch, 5, signal.SIGTERM)
        with pytest.raises(SystemExit) as end:
            together(jobs("fused", cells))
    assert end.value.code == 130
    assert {status(tmp_path / "fused" / name)["state"] for name in cells} == {"interrupted"}
    shutil.rmtree(tmp_path / "fused" / "meta" / "last")  # as if a kill had come between two saves
    assert together(jobs("fused", cells)) == [(0, None), (1, None)]
    for name in cells:
        assert_same(tmp_path / "fused" / name, expected / name)


def test_what_is_finished_is_skipped(
    jobs: Any, apart: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = {name: CELLS[name] for name in ("lora", "seed")}
    folder = apart(cells)
    before = {name: (folder / name / "result.json").stat().st_mtime_ns for name in cells}
    capsys.readouterr()
    assert together(jobs("apart", cells)) == [(0, None), (1, None)]
    assert capsys.readouterr().err.count("finished before (ok)") == 2
    assert {name: (folder / name / "result.json").stat().st_mtime_ns for name in cells} == before


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_a_group_that_does_not_fit_into_memory_runs_as_two(
    jobs: Any, apart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    cells = {f"rank-{rank}": ("placement.depth=1", f"peft.rank={rank}") for rank in (1, 2, 3, 4, 5)}
    measured, sizes = fitting.num_together, []

    def fits(experiments: Any) -> int:
        sizes.append(len(experiments))
        if len(experiments) > 2:
            raise error("no room")
        return measured(experiments)

    monkeypatch.setattr("peftlab.run.together.num_together", fits)
    assert run_jobs(jobs("fused", cells)) == [None] * 5
    assert sizes == [5, 2, 3, 2], "five are 2 and 3, three are 1 and 2"
    expected = apart(cells)
    for name in cells:
        assert_same(tmp_path / "fused" / name, expected / name)
