"""Whole runs: what they write, and that an interrupted one ends with the numbers of one that never stopped."""

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.configs import composed as config_of
from fixtures.go import go
from safetensors.torch import load_file

import peftlab
from peftlab.build import trunk
from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.dataset import Dataset
from peftlab.errors import UserError
from peftlab.network import network, recompute
from peftlab.run.state import Run

SMALL = ("backbone=tiny", "fit.epochs=3", "fit.batch_size=64", "optim.lr=0.1")
META = (
    "scaling=meta",
    "scaling.outer.every=2",
    "scaling.outer.warmup=2",
    "scaling.outer.lr=0.1",
    "scaling.outer.resample=4",
)
Config = Callable[..., dict[str, Any]]


def rows(folder: Path) -> list[dict[str, Any]]:
    """Without the number of the attempt, in which an interrupted run may differ."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "attempt"} for row in found]


def same(one: Path, other: Path) -> None:
    """Bit for bit the same weights, gamma, losses and test numbers."""
    assert rows(one) == rows(other)
    first, second = (load_file(folder / "adapter.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    results = [json.loads((folder / "result.json").read_text())["metrics"] for folder in (one, other)]
    assert results[0] == results[1]


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send ourselves a signal in the middle of step `step`."""
    log = Run.log

    def logging(self: Run, at: int, row: dict[str, float]) -> None:
        log(self, at, row)
        if at == step and "train/loss" in row:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Run, "log", logging)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`whole(*META)`: the folder of a finished run of SMALL and these words, which all tests share; none may write to it."""

    @cache
    def run_of(*words: str) -> Path:
        folder = tmp_path_factory.mktemp("whole")
        go(folder, config_of(*SMALL, *words))
        return folder

    return run_of


@pytest.fixture
def finished(whole: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """The same in a folder of the test's own."""

    def copied(*words: str) -> Path:
        return Path(shutil.copytree(whole(*words), tmp_path / "finished", copy_function=shutil.copy2))

    return copied


def test_a_run_writes_its_record(whole: Callable[..., Path]) -> None:
    folder = whole()
    result = json.loads((folder / "result.json").read_text())
    assert {path.name for path in folder.iterdir()} == {
        "adapter.safetensors",
        "adapter.yaml",
        "config.yaml",
        "last",
        "metrics.jsonl",
        "per_class.csv",
        "predictions.csv",
        "result.json",
        "split.json",
        "status.json",
    }
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["error"]) == ("ok", None)
    assert result["test_reads"] == 1
    assert result["num_parameters"]["gamma"] == 0
    assert 0 <= result["metrics"]["test/tail_acc"] <= 1
    assert [row["step"] for row in rows(folder)] == list(range(1, 16))
    with (folder / "per_class.csv").open() as file:
        table = list(csv.DictReader(file))
    assert sum(float(row["acc"]) for row in table) / len(table) == pytest.approx(
        result["metrics"]["test/mean_acc"]
    )
    assert sum(int(row["train_num"]) for row in table) == 277
    with (folder / "predictions.csv").open() as file:
        said = list(csv.DictReader(file))
    assert len({row["item"] for row in said}) == len(said) == result["metrics"]["test/mean_num"]
    right = sum(row["class"] == row["predicted"] for row in said)
    assert right / len(said) == pytest.approx(result["metrics"]["test/micro_acc"])


def test_without_an_epoch_there_is_the_test_alone(composed: Config, tmp_path: Path) -> None:
    """Of what a method starts from: LoRA from the frozen network."""
    config = composed(*SMALL, "fit.epochs=0")
    result = go(tmp_path / "run", config)
    assert result["state"] == "ok"
    assert result["metrics"]["test/mean_acc"] == result["metrics"]["frozen/mean_acc"] > 0
    assert not (tmp_path / "run" / "metrics.jsonl").exists() or rows(tmp_path / "run") == []
    assert go(tmp_path / "run", config) == result, "finished"


def test_a_finished_run_is_skipped_and_resume_false_repeats_it(
    composed: Config, finished: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config, folder = composed(*SMALL), finished()
    first = json.loads((folder / "result.json").read_text())
    written = (folder / "result.json").stat().st_mtime_ns
    assert go(folder, config) == first
    assert (folder / "result.json").stat().st_mtime_ns == written
    assert "resume=false" in capsys.readouterr().err
    again = go(folder, {**config, "resume": False})
    assert (folder / "result.json").stat().st_mtime_ns != written
    assert again["metrics"] == first["metrics"]


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param((), id="fixed"),
        pytest.param(META, id="meta"),
        pytest.param(
            (*META, "scaling/estimator=unrolled", "scaling.outer.hold_out=true"),
            id="meta-unrolled",
            marks=pytest.mark.slow,
        ),
        pytest.param(("scaling=learned", "peft=adaptformer"), id="learned-dropout", marks=pytest.mark.slow),
        pytest.param(
            (
                "fit.select=best",
                "fit.accumulate=2",
                "optim=adamw",
                "peft=bitfit",
                "peft.outside_blocks=false",
            ),
            id="best-adamw",
            marks=pytest.mark.slow,
        ),
        pytest.param(("fit.ema=0.8", "fit.select=best", *META), id="averaged"),
        pytest.param(("fit.mixup=0.5", "fit.cutmix=1.0", "fit.accumulate=2"), id="mixed"),
        pytest.param(("backbone=tiny_duo", "task=contrast", "peft=coop", "fit.prograd=1"), id="prograd"),
    ],
)
def test_interrupted_and_resumed_is_bit_for_bit_uninterrupted(
    composed: Config,
    whole: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    overrides: tuple[str, ...],
) -> None:
    config = composed(*SMALL, *overrides)
    undisturbed = whole(*overrides)
    with monkeypatch.context() as patch:
        stop_at(patch, 4, signal.SIGINT)
        with pytest.raises(SystemExit) as stopped:
            go(tmp_path / "parts", config)
    assert stopped.value.code == 130
    assert json.loads((tmp_path / "parts" / "status.json").read_text())["state"] == "interrupted"
    assert not (tmp_path / "parts" / "result.json").exists()
    torch.manual_seed(12345)  # the process that goes on has another history
    go(tmp_path / "parts", config)
    same(undisturbed, tmp_path / "parts")


@pytest.mark.parametrize(
    "overrides",
    [
        pytest.param((), id="no-validation"),
        pytest.param(
            ("fit.select=best", "fit.eval_every=2", "fit.save_every=3", *META), id="validation-of-its-own"
        ),
    ],
)
def test_stopped_after_an_epoch_and_gone_on_is_bit_for_bit_whole(
    composed: Config, whole: Callable[..., Path], tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    """Where the plan has no validation at the stop, the one made there neither stays in the curve nor selects."""
    config, part, undisturbed = composed(*SMALL, *overrides), tmp_path / "part", whole(*overrides)
    per_epoch = rows(undisturbed)[-1]["step"] // 3
    for word, after in ((1, 1), (2, 2), (2, 2), ("end", 3), ("end", 3)):
        assert go(part, {**config, "fit": {**config["fit"], "stop_after": word}}) == {}
        status = json.loads((part / "status.json").read_text())
        assert (status["state"], status["epoch"]) == ("stopped", after)
        assert [row["step"] for row in rows(part) if "train/loss" in row] == list(
            range(1, per_epoch * after + 1)
        )
        if overrides:
            assert [row["step"] for row in rows(part) if "val/mean_acc" in row][-1] == per_epoch * after
        assert not (part / "adapter.safetensors").exists()
        torch.manual_seed(12345)
    with pytest.raises(UserError, match="legal: the folder of a finished run"):
        peftlab.load(part)
    go(part, config)
    same(undisturbed, part)
    finished = (part / "result.json").read_bytes()
    go(part, {**config, "fit": {**config["fit"], "stop_after": 1}})
    assert (part / "result.json").read_bytes() == finished, "it is finished, and stays so"


@pytest.mark.slow
def test_a_run_killed_without_warning_goes_on_from_its_last_save(
    composed: Config, whole: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, undisturbed = composed(*SMALL, *META), whole(*META)
    log = Run.log

    def dies(self: Run, at: int, row: dict[str, float]) -> None:
        log(self, at, row)
        if at == 8:
            raise MemoryError("as if killed")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", dies)
        with pytest.raises(MemoryError):
            go(tmp_path / "parts", config)
    assert rows(tmp_path / "parts")[-1]["step"] == 8
    go(tmp_path / "parts", config)
    same(undisturbed, tmp_path / "parts")


def test_a_run_may_go_on_with_blocks_that_run_again_in_backward(
    composed: Config, whole: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit the run that keeps all: dropout, and outer steps before and after it went on."""
    words = ("peft.dropout=0.2", *META)
    with monkeypatch.context() as patch:
        stop_at(patch, 4, signal.SIGINT)
        with pytest.raises(SystemExit):
            go(tmp_path / "parts", composed(*SMALL, *words))
    torch.manual_seed(12345)
    seen, make = [], recompute.recomputed
    monkeypatch.setattr(network, "recomputed", lambda *given: seen.append(1) or make(*given))
    go(tmp_path / "parts", composed(*SMALL, *words, "fit.checkpointing=true"))
    assert seen
    same(whole(*words), tmp_path / "parts")


def test_sigterm_saves_too(composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at(monkeypatch, 2, signal.SIGTERM)
    with pytest.raises(SystemExit):
        go(tmp_path, composed(*SMALL))
    assert torch.load(tmp_path / "last" / "state.pt", weights_only=True)["step"] == 2
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_scheduler_s_own_answer_to_its_signal_follows_when_all_is_saved(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Any] = []

    def requeue(number: int, frame: Any) -> None:
        saved.append(torch.load(tmp_path / "last" / "state.pt", weights_only=True)["step"])
        saved.append(json.loads((tmp_path / "status.json").read_text())["state"])
        raise SystemExit(-1)

    stop_at(monkeypatch, 2, signal.SIGUSR2)
    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        with pytest.raises(SystemExit) as ended:
            go(tmp_path, composed(*SMALL))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert (saved, ended.value.code) == ([2, "interrupted"], -1)


def test_the_test_split_is_opened_once_and_last(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    make = trunk.open_dataset

    def watched(*arguments: Any) -> Dataset:
        dataset = make(*arguments)
        return replace(dataset, open_test=lambda: opened.append(len(rows(tmp_path))) or dataset.open_test())

    monkeypatch.setattr(trunk, "open_dataset", watched)
    go(tmp_path, composed(*SMALL, "fit.select=best"))
    assert opened == [len(rows(tmp_path))], "before the last step, or more than once"


def test_the_new_classes_of_the_test_stay_shut_while_base_classes_are_trained(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the answers are class ids, nobody asks for classes that have none."""
    make = trunk.open_dataset

    def locked(*arguments: Any) -> Dataset:
        dataset = make(*arguments)
        assert dataset.open_new is not None

        def shut() -> Any:
            raise AssertionError("the new classes were opened")

        return replace(dataset, open_new=shut)

    monkeypatch.setattr(trunk, "open_dataset", locked)
    result = go(tmp_path, composed(*SMALL, "dataset.classes=base", "fit.select=best"))
    assert result["state"] == "ok"


def test_best_is_selected_on_validation_and_never_on_test(composed: Config, tmp_path: Path) -> None:
    result = go(tmp_path, composed(*SMALL, "fit.select=best"))
    scores = {row["step"]: row["val/mean_acc"] for row in rows(tmp_path) if "val/mean_acc" in row}
    assert result["selected"]["val/mean_acc"] == max(scores.values())
    assert result["selected"]["step"] == min(
        step for step, score in scores.items() if score == max(scores.values())
    )
    assert not any(key.startswith("test/") for row in rows(tmp_path) for key in row)


@pytest.mark.parametrize("select", ["last", "best"])
def test_the_average_is_validated_tested_and_kept(
    composed: Config, whole: Callable[..., Path], tmp_path: Path, select: str
) -> None:
    """An average that forgets nothing is the start, and one that forgets all is the run without it."""
    words = (f"fit.select={select}", "dataset.val_fraction=0.2")
    plain = whole(*words)
    start = go(tmp_path / "start", composed(*SMALL, *words, "fit.ema=0.9999999999"))["metrics"]
    assert (
        start["test/mean_acc"]
        == start["frozen/mean_acc"]
        != go(plain, composed(*SMALL, *words))["metrics"]["test/mean_acc"]
    )
    go(tmp_path / "last", composed(*SMALL, *words, "fit.ema=1e-12"))
    same(plain, tmp_path / "last")


def test_an_alpha_far_too_large_is_a_number_or_diverged(composed: Config, tmp_path: Path) -> None:
    result = go(tmp_path, composed(*SMALL, "scaling.value=1e6", "optim=sgd", "optim.lr=1000"))
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["state"] == "diverged"
    assert "loss became" in status["error"]
    assert result["diverged_at"] > 0
    assert result["metrics"]["test/mean_acc"] <= 0.2


def test_load_gives_the_logits_of_the_end_of_the_run_and_gamma_counts(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Run] = []
    init = Run.__init__
    monkeypatch.setattr(
        Run, "__init__", lambda self, *arguments: (init(self, *arguments), kept.append(self))[0]
    )
    result = go(tmp_path, composed(*SMALL, *META))
    experiment = kept[0].experiment
    dataset = experiment.trunk.dataset
    batch = EvalBatches(dataset.open_test(), dataset.eval_transform, batch_size=100, num_workers=0).batch(0)
    model = peftlab.load(tmp_path)
    with torch.no_grad():
        (own,) = experiment.network.outputs([experiment.cell], batch.inputs)
        assert torch.equal(model(batch.inputs["images"]), own)
        before = model(batch.inputs["images"])
        model.gamma.raw.add_(1.0)
        assert not torch.equal(model(batch.inputs["images"]), before), "gamma must act at test time"
    assert result["num_parameters"]["gamma"] == 12
    with (tmp_path / "gamma.csv").open() as file:
        gammas = [float(row["gamma"]) for row in csv.DictReader(file)]
    assert len(gammas) == 12
    assert max(abs(gamma - 1) for gamma in gammas) > 1e-3
    assert (tmp_path / "gamma.png").stat().st_size > 1000
    outer = [row for row in rows(tmp_path) if "outer/loss" in row]
    assert len(outer) == len([step for step in range(3, 16) if step % 2 == 0])
    assert all(f"outer/{key}/0.q" in outer[-1] for key in ("gamma", "grad", "ratio"))
    assert outer[-1]["outer/ratio/0.q"] > 0


@pytest.mark.slow
def test_a_gamma_becomes_a_placement(composed: Config, finished: Callable[..., Path], tmp_path: Path) -> None:
    meta = finished(*META)
    result = go(
        tmp_path / "static",
        composed(*SMALL, "placement=from_gamma", f"placement.run={meta}", "placement.keep=5"),
    )
    with (meta / "gamma.csv").open() as file:
        table = sorted(csv.DictReader(file), key=lambda row: -float(row["gamma"]))
    assert {f"{site['block']}.{site['position']}" for site in result["sites"]} == {
        row["site"] for row in table[:5]
    }
    shutil.rmtree(meta)
    assert len(peftlab.load(tmp_path / "static").sites) == 5, "the adapter knows its own sites"


def test_held_out_images_are_never_trained_on(composed: Config, tmp_path: Path) -> None:
    experiment = build(resolve(composed(*SMALL, *META, "scaling.outer.hold_out=true")))
    batches, outer_loop = experiment.learner.batches, experiment.learner.outer
    assert outer_loop is not None
    trained = {int(row) for number in range(batches.num_batches) for row in batches.batch(number).rows}
    take, _ = outer_loop.problem.draw(0)
    outer = {int(row) for number in range(3) for row in take(number).rows}  # type: ignore[attr-defined]
    assert outer
    assert not outer & trained
    assert len(trained) == len(experiment.train) < len(experiment.trunk.dataset.train)


def test_a_changed_split_is_not_resumed_silently(
    composed: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = composed(*SMALL)
    stop_at(monkeypatch, 2, signal.SIGINT)
    with pytest.raises(SystemExit):
        go(tmp_path, config)
    monkeypatch.undo()
    make = trunk.open_dataset
    monkeypatch.setattr(
        trunk, "open_dataset", lambda *arguments: replace(make(*arguments), index_hash="another")
    )
    with pytest.raises(peftlab.UserError, match="the data split is no longer"):
        go(tmp_path, config)
