"""Paired differences against item-by-item arithmetic, a simulation, and an evaluation of each alone."""

from contextlib import nullcontext
from math import isnan, sqrt
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from peftlab.evaluate.evaluate import evaluate
from peftlab.evaluate.paired import Paired, compare, gains
from peftlab.inputs.batch import Batch

NUM = 4
GROUPS = {"head": [0], "medium": [1, 2], "tail": [3]}
ITEM = st.tuples(*[st.integers(0, NUM - 1)] * 3)  # own, other, label
Z = 1.959963984540054


def paired(own: Any, other: Any, label: Any, num_classes: int = NUM) -> Paired:
    found = Paired.zeros(num_classes)
    own, other, label = (torch.as_tensor(values, dtype=torch.int64) for values in (own, other, label))
    found.read(F.one_hot(own, num_classes).float(), F.one_hot(other, num_classes).float(), label)
    return found


@settings(deadline=None, max_examples=80)
@given(st.lists(ITEM, min_size=1, max_size=60))
def test_it_is_the_arithmetic_of_the_items_differences(items: list[tuple[int, int, int]]) -> None:
    own, other, label = (np.array(values) for values in zip(*items, strict=True))
    each = (own == label).astype(float) - (other == label)
    found = gains(paired(own, other, label), GROUPS)
    for name, classes in {"mean": range(NUM), **GROUPS}.items():
        present = [each[label == index] for index in classes if (label == index).any()]
        if not present:
            assert all(isnan(found[f"{name}_acc{end}"]) for end in ("", "_low", "_high"))
            continue
        mean = np.mean([values.mean() for values in present])
        half = Z * sqrt(sum(values.var() / len(values) for values in present)) / len(present)
        assert found[f"{name}_acc"] == pytest.approx(mean, abs=1e-12)
        assert found[f"{name}_acc_low"] == pytest.approx(max(-1, mean - half), abs=1e-7)
        assert found[f"{name}_acc_high"] == pytest.approx(min(1, mean + half), abs=1e-7)


def test_turned_round_it_has_the_other_sign_and_the_same_width() -> None:
    rng = np.random.default_rng(0)
    own, other, label = rng.integers(0, NUM, (3, 200))
    there, back = (gains(paired(*pair, label), GROUPS) for pair in ((own, other), (other, own)))
    for name in ("mean", "head", "medium", "tail"):
        assert there[f"{name}_acc"] == pytest.approx(-back[f"{name}_acc"])
        assert there[f"{name}_acc_low"] == pytest.approx(-back[f"{name}_acc_high"])


def test_equal_answers_differ_by_nothing() -> None:
    label = [0, 0, 1, 2, 3]
    found = gains(paired([0, 1, 1, 2, 0], [0, 1, 1, 2, 0], label), GROUPS)
    assert set(found.values()) == {0.0}


@pytest.mark.slow
def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Simulated: classes of 90, 60 and 30 items; the two are right together more often than by chance."""
    rng, num = np.random.default_rng(0), [90, 60, 30]
    chances = [(0.6, 0.25, 0.05, 0.1), (0.4, 0.3, 0.1, 0.2), (0.3, 0.3, 0.15, 0.25)]  # both, own, other, none
    truth = np.mean([own - other for _, own, other, _ in chances])
    held = 0
    for _ in range(1000):
        own, other, label = [], [], []
        for index, (n, p) in enumerate(zip(num, chances, strict=True)):
            kind = rng.choice(4, n, p=p)
            own += [index if k in (0, 1) else index + 1 for k in kind]
            other += [index if k in (0, 2) else index + 1 for k in kind]
            label += [index] * n
        found = gains(paired(own, other, label), {"head": [0, 1, 2]})
        held += found["head_acc_low"] <= truth <= found["head_acc_high"]
    assert 0.93 <= held / 1000 <= 0.97


def test_two_at_once_are_each_as_alone() -> None:
    rng = torch.Generator().manual_seed(0)
    values, targets = torch.randn(30, NUM, generator=rng), torch.randint(0, NUM, (30,), generator=rng)
    rows = torch.arange(30)
    batches = [
        Batch({"x": values[part]}, targets[part], rows[part]) for part in (slice(0, 20), slice(20, 30))
    ]
    table = {"own": lambda inputs: inputs["x"], "other": lambda inputs: F.relu(inputs["x"].flip(-1))}
    cpu = torch.device("cpu")
    found = compare(table["own"], table["other"], batches, NUM, cpu, nullcontext)
    for name, outputs in table.items():
        alone, here = evaluate(outputs, batches, NUM, cpu, nullcontext), getattr(found, name)
        assert all(
            torch.equal(getattr(here, key), getattr(alone, key)) for key in ("correct", "predicted", "total")
        )
        assert torch.equal(torch.cat(here.answers, 1), torch.cat(alone.answers, 1))
    right = [outputs({"x": values}).argmax(-1) == targets for outputs in table.values()]
    assert found.both.sum() == (right[0] & right[1]).sum()
