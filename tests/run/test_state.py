"""A run between its steps: its name, what it writes down, and what it goes on from."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from peftlab.config.file import read_config
from peftlab.errors import UserError
from peftlab.model.model import Model
from peftlab.run.state import Run, run_id, run_title

Make = Callable[..., Run]
NUM_CLASSES = 10


def rows(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.record.folder / "metrics.jsonl").read_text().splitlines()]


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.experiment.cell.state().items()}


def change(run: Run, seed: int = 0) -> None:
    """Other weights."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in run.experiment.cell.theta().values():
            value.copy_(torch.randn(value.shape, generator=rng))


def test_the_id_is_the_hash_of_what_a_run_is() -> None:
    identity = {"config": "c", "data split": "d", "backbone": "b"}
    expected = hashlib.sha256(b"b/c/d").hexdigest()[:16]
    assert run_id(identity) == run_id(dict(reversed(identity.items()))) == expected
    others = {run_id({**identity, key: "other"}) for key in identity}
    assert len({expected, *others}) == 4


@pytest.mark.parametrize(
    ("name", "group", "title"),
    [
        ("q-0-2-1a2b3c4d", None, "q-0-2-1a2b3c4d"),
        ("depth-0-2_position-q-1a2b3c4d", "grid", "depth-0-2_position-q_s7"),
        ("position-q_seed-7-1a2b3c4d", "grid", "position-q_s7"),
        ("seed-7-1a2b3c4d", "grid", "s7"),
        ("depth-0-2", "grid", "depth-0-2_s7"),
        ("x", "grid", "x_s7"),
    ],
)
def test_the_title_in_a_sweep_is_the_cell_with_its_seed(name: str, group: str | None, title: str) -> None:
    assert run_title(Path("runs") / name, group, 7) == title


def test_opening_writes_what_is_known_and_starts_the_tracker(state: Make) -> None:
    run = state("placement=gradient_norm", "placement.keep=3", "placement.num_samples=8", group="grid")
    data, folder, raw = run.experiment.trunk.dataset, run.record.folder, run.experiment.resolved.raw
    assert run.open() == 0
    assert {path.name for path in folder.iterdir()} == {
        *("status.json", "config.yaml", "split.json", "placement.csv", "metrics.jsonl"),
    }
    assert read_config(folder).items() >= raw.items()
    assert run.record.read("split.json") == {
        "hash": data.index_hash,
        "audit": run.experiment.trunk.overlap.saved,
        **data.index,
    }
    assert run.experiment.trunk.overlap.saved["num_items"] == {"train": 277, "test": 901}
    assert len((folder / "placement.csv").read_text().splitlines()) == 1 + 12
    assert rows(run) == []
    (given,) = run.tracker.started  # type: ignore[attr-defined]
    assert (given.run_id, given.name, given.group, given.kind) == (run.run_id, "run-0123_s0", "grid", "run")
    assert (given.tags, given.folder) == (("peft=own",), folder)
    assert given.config["config"] == raw, "one key, so that the others are free"
    assert given.config["choices"] == {"peft": "own"}
    assert (given.config["run_id"], given.config["identity"]) == (run.run_id, run.identity)
    assert given.config["num_parameters"] == run.num_parameters["delta"]


def test_the_record_has_all_of_a_row_and_the_tracker_what_curves_show(state: Make) -> None:
    run = state("scaling=learned")
    row = {"train/loss": 1.0, "epoch": 0.5, "outer/grad/0.q": 2.0, "outer/gamma/0.q": 3.0}
    run.log(4, row)
    assert rows(run) == [{"step": 4, **row, "attempt": 1}]
    assert run.tracker.logged == [  # type: ignore[attr-defined]
        (4, {"train/loss": 1.0, "epoch": 0.5, "gamma/0.q": 3.0})
    ]


def test_validation_has_the_epoch_as_its_axis_and_what_is_tested_stands_for_it(state: Make) -> None:
    run = state("fit.select=best")
    per_epoch = run.experiment.schedule.per_epoch
    run.validate(2 * per_epoch)
    first = run.validated
    change(run)
    run.validate(3 * per_epoch)
    logged = run.tracker.logged  # type: ignore[attr-defined]
    assert [(step, row["epoch"]) for step, row in logged] == [(2 * per_epoch, 2.0), (3 * per_epoch, 3.0)]
    assert run.validated is first, "the best"
    assert logged[0][1]["val/tail_acc"] == first["tail_acc"]
    last = state("fit.select=last", "dataset.val_fraction=0.1", folder="last")
    last.validate(per_epoch)
    before = last.validated
    change(last)
    last.validate(2 * per_epoch)
    assert last.validated is not before


def test_the_test_s_headline_is_a_row_of_the_step_that_made_the_weights(state: Make) -> None:
    run = state()
    result = {"headline": ["mean_acc", "head_acc"], "metrics": {"test/mean_acc": 0.5, "test/head_acc": None}}
    per_epoch = run.experiment.schedule.per_epoch
    for diverged, step in ((None, 3 * per_epoch), (per_epoch + 1, per_epoch)):
        run.show_tested({**result, "diverged_at": diverged})
        row = {"epoch": step / per_epoch, "test/mean_acc": 0.5}
        assert run.tracker.logged[-1] == (step, row)  # type: ignore[attr-defined]


def test_gamma_is_drawn_a_few_times_where_it_is_trained(state: Make) -> None:
    run = state("scaling=learned", "placement.depth=1")
    num_steps = run.experiment.schedule.num_steps
    for step in range(1, num_steps + 1):
        run.show_gamma(step)
    maps = run.tracker.images["gamma_map"]  # type: ignore[attr-defined]
    assert (len(maps), maps[-1][0]) == (4, num_steps)
    assert all(data.startswith(b"\x89PNG") for _, data in maps)
    fixed = state(folder="fixed")
    fixed.show_gamma(num_steps)
    assert fixed.tracker.images == {}  # type: ignore[attr-defined]


def test_what_was_saved_is_what_another_process_goes_on_from(state: Make) -> None:
    one = state("fit.select=best")
    assert one.open() == 0
    change(one)
    one.validate(5)
    one.save(5)
    one.log(6, {"train/loss": 1.0})
    one.record.release()
    two = state("fit.select=best")
    assert two.open() == 5
    assert all(torch.equal(value, weights(one)[name]) for name, value in weights(two).items())
    assert one.best is not None
    assert two.best is not None
    assert (two.best["step"], two.best["score"]) == (5, one.best["score"])
    assert all(torch.equal(value, one.best["cell"][name]) for name, value in two.best["cell"].items())
    assert [row["step"] for row in rows(two)] == [5], "the step after the save is done again"


def test_a_run_of_another_config_does_not_go_on_from_it(state: Make) -> None:
    one = state()
    one.open()
    one.save(1)
    one.record.release()
    before = {path: path.read_bytes() for path in one.record.folder.rglob("*") if path.is_file()}
    with pytest.raises(
        UserError, match=r"holds the run of another config: optim\.lr=[\d.]+ there, 0\.5 now; legal: "
    ):
        state("optim.lr=0.5").open()
    assert {path: path.read_bytes() for path in one.record.folder.rglob("*") if path.is_file()} == before
    assert state("device=auto").open() == 1, "where it runs is no part of what it is"


def test_the_first_of_the_best_weights_are_kept_as_a_copy(state: Make) -> None:
    """The head from class means is better than one of random numbers."""
    run = state("fit.select=best")
    change(run)
    run.validate(1)
    worse = run.best
    assert worse is not None
    run.experiment.cell.load_state(state("fit.select=best").experiment.cell.state())
    start = weights(run)
    for step in (2, 3):  # the same score twice
        run.validate(step)
    change(run)
    run.validate(4)
    assert run.best is not None
    assert run.best["score"] > worse["score"]
    assert run.best["step"] == 2
    assert all(torch.equal(value, start[name]) for name, value in run.best["cell"].items())
    scores = [row["val/mean_acc"] for row in rows(run)]
    assert scores == [worse["score"], run.best["score"], run.best["score"], worse["score"]]


def test_with_select_last_nothing_is_kept_and_without_validation_nothing_is_measured(state: Make) -> None:
    run = state("fit.select=last", "dataset.val_fraction=0.1")
    run.validate(1)
    assert run.best is None
    assert [row["step"] for row in rows(run)] == [1]
    bare = state("fit.select=last", "dataset.val_fraction=0", folder="bare")
    bare.validate(1)
    assert not (bare.record.folder / "metrics.jsonl").exists()


@pytest.mark.parametrize("training", [True, False])
def test_a_count_is_one_of_evaluation_and_leaves_the_mode_as_it_was(state: Make, training: bool) -> None:
    run = state("peft=adaptformer", "peft.dropout=0.9", "fit.eval_batch_size=500")
    change(run)
    cell, data = run.experiment.cell.train(training), run.experiment.trunk.dataset
    counted = run.count(data.train)
    assert cell.training == training
    batch = next(iter(run.experiment.trunk.batches(data.train)))
    assert len(batch.targets) == len(data.train)
    with torch.no_grad():
        answers = Model(run.experiment.trunk.backbone, cell).eval()(batch.inputs["images"]).argmax(-1)
    right = batch.targets[answers == batch.targets]
    assert counted.correct.tolist() == torch.bincount(right, minlength=NUM_CLASSES).tolist()
    assert counted.total.tolist() == data.counts.tolist()


def test_a_count_at_widths_is_of_that_sub_network(state: Make) -> None:
    run = state("peft=lora", "peft.rank=2", "placement.depth=1")
    before = run.count(run.experiment.trunk.dataset.train)
    change(run)
    run.experiment.cell.head.load_state_dict(state("peft=lora").experiment.cell.head.state_dict())
    off = run.count(run.experiment.trunk.dataset.train, dict.fromkeys(run.experiment.cell.sites, 0))
    changed = run.count(run.experiment.trunk.dataset.train)
    assert torch.equal(off.correct, before.correct)
    assert not torch.equal(changed.correct, before.correct)


@pytest.mark.parametrize(
    ("words", "rank"),
    [
        ((), 8),
        (("peft.rank=3",), 3),
        (("placement.budget=1152",), 2),
        (("placement=cells", "placement.cells={0.q:{rank:2},1.q:{rank:3}}"), None),
        (("peft=dylora", "peft.rank=3"), 3),
    ],
)
def test_the_rank_that_runs_are_grouped_by_is_the_one_that_was_built(
    state: Make, words: tuple[str, ...], rank: int | None
) -> None:
    record, experiment = (built := state(*words)).record, built.experiment
    record.flat = {"rank": 8}
    flat = Run(experiment, record, None).flat
    assert flat["rank"] == rank
    assert {anchor.delta.width for anchor in experiment.cell.anchors} >= ({rank} if rank else set())
