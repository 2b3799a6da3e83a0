"""What a dashboard is told of a run: flat scalars, curves with an axis, numbers that stand for it."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest

from peftlab.config.summary import KEYS
from peftlab.run import mirror
from peftlab.tracker.tracker import Series

HEADLINE = ("mean_acc", "head_acc", "medium_acc", "tail_acc")


def test_the_scalars_to_group_by_are_on_top_and_the_config_is_below_one_key() -> None:
    raw = {"peft": {"rank": 8}, "seed": 3, "task": {}}
    found = mirror.config({"peft": "lora", "rank": 8}, raw, {"choices": {"peft": "lora"}})
    assert {key: found[key] for key in KEYS} == {**dict.fromkeys(KEYS), "peft": "lora", "rank": 8}
    assert (found["config"], found["choices"]) == (raw, {"peft": "lora"})
    assert found.keys() >= {"commit", "dirty", "versions"}
    json.dumps(found)


def test_a_stopped_run_stands_for_its_validation_and_no_test() -> None:
    found = mirror.stopped({"mean_acc": 0.5, "tail_acc": math.nan})
    assert found == {"state": "stopped", "val/mean_acc": 0.5}


def test_every_choice_is_a_tag_and_the_main_ones_always() -> None:
    flat = {"peft": "lora", "backbone": "tiny", "dataset": None, "scaling": "fixed", "rank": 8}
    choices = {"scaling": "meta", "placement.depth": "0-2"}
    assert mirror.tags(flat, choices) == (
        *("peft=lora", "backbone=tiny", "scaling=meta"),
        "placement.depth=0-2",
    )
    assert mirror.tags({}, {}) == ()


def test_accuracies_have_an_epoch_axis_and_the_best_and_the_last_of_them() -> None:
    series = {item.name: item for item in mirror.series(HEADLINE)}
    for name in HEADLINE:
        assert series[f"val/{name}"] == Series(f"val/{name}", "epoch", ("max", "last"))
        assert series[f"test/{name}"].axis == "epoch"
    assert {series[f"{group}/*"].axis for group in ("train", "val", "outer", "gamma")} == {"epoch"}
    assert len(series) == len(mirror.series(HEADLINE)), "no name twice"


@pytest.mark.parametrize("number", [1, 2, 99, 100, 101, 144, 1000])
def test_at_most_a_hundred_gammas_are_drawn_evenly_over_the_sites(number: int) -> None:
    names = [f"{index}.q" for index in range(number)]
    shown = sorted(names.index(name) for name in mirror.lines(names))
    assert len(shown) == min(number, 100)
    gaps = {after - before for before, after in pairwise(shown)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    assert mirror.lines([]) == frozenset()


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("train/loss", "train/loss"),
        ("epoch", "epoch"),
        ("outer/loss", "outer/loss"),
        ("outer/gamma_mean", "outer/gamma_mean"),
        ("outer/gamma/3.q", "gamma/3.q"),
        ("gamma/3.q", "gamma/3.q"),
        ("outer/gamma/4.q", None),
        ("gamma/4.q", None),
        ("outer/grad/3.q", None),
        ("outer/ratio/3.q", None),
        ("val/tail_acc", "val/tail_acc"),
        ("val/tail_acc_low", None),
        ("val/tail_num", None),
        ("val/log_likelihood", "val/log_likelihood"),
        ("val/log_likelihood_low", None),
    ],
)
def test_a_row_of_the_record_as_curves(key: str, told: str | None) -> None:
    expected = {} if told is None else {told: 2.0}
    assert mirror.scalars({key: 2.0}, frozenset({"3.q"})) == expected


@pytest.mark.parametrize("num_steps", [1, 3, 4, 10, 1001])
def test_a_handful_of_maps_the_last_at_the_end(num_steps: int) -> None:
    drawn = [step for step in range(1, num_steps + 1) if mirror.maps(step, num_steps)]
    assert len(drawn) == min(4, num_steps)
    assert drawn[-1] == num_steps


def test_what_stands_for_a_run_has_no_number_that_is_none() -> None:
    result: dict[str, Any] = {
        "metrics": {"test/mean_acc": 0.5, "test/head_acc": math.nan, "test/tail_acc": None}
        | {"frozen/mean_acc": 0.25, "gain/mean_acc": 0.25, "gain/tail_acc": None},
        "headline": ["mean_acc", "head_acc", "tail_acc", "medium_acc"],
        "state": "ok",
        "wall_s": 3.0,
        "step_s": None,
        "memory_mib": 7.0,
        "diverged_at": None,
    }
    assert mirror.final(result, {"mean_acc": 0.25, "tail_acc": math.nan}) == {
        "test/mean_acc": 0.5,
        "val/mean_acc": 0.25,
        "frozen/mean_acc": 0.25,
        "gain/mean_acc": 0.25,
        "state": "ok",
        "wall_s": 3.0,
        "memory_mib": 7.0,
    }
    assert mirror.tested(result) == {"test/mean_acc": 0.5}
