"""Group metrics against scikit-learn, the published formulas written out, and invariants."""

import warnings
from math import isnan, nan

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from peftlab.errors import UserError
from peftlab.evaluate.metrics import Counts, group_metrics, per_class
from peftlab.evaluate.proportion import score_interval

NUM = 6
GROUPS = {"head": [0, 1], "medium": [2, 3], "tail": [4, 5]}
PAIRS = st.lists(st.tuples(st.integers(0, NUM - 1), st.integers(0, NUM - 1)), min_size=1, max_size=80)


def counted(pred: list[int], label: list[int], num_classes: int = NUM) -> Counts:
    counts = Counts.zeros(num_classes)
    counts.update(torch.tensor(pred, dtype=torch.int64), torch.tensor(label, dtype=torch.int64))
    return counts


def from_columns(correct: list[int], predicted: list[int], total: list[int]) -> Counts:
    return Counts(*(torch.tensor(x, dtype=torch.int64) for x in (correct, predicted, total)))


@settings(deadline=None, max_examples=60)
@given(PAIRS)
def test_equals_sklearn(pairs: list[tuple[int, int]]) -> None:
    pred, label = map(list, zip(*pairs, strict=True))
    metric = group_metrics(counted(pred, label), GROUPS)
    present = sorted(set(label))
    with warnings.catch_warnings():  # y_pred holds classes that y_true lacks: that is the point
        warnings.simplefilter("ignore", UserWarning)
        assert metric["mean_acc"] == pytest.approx(balanced_accuracy_score(label, pred))
    assert metric["micro_acc"] == pytest.approx(accuracy_score(label, pred))
    assert metric["macro_f1"] == pytest.approx(
        f1_score(label, pred, labels=present, average="macro", zero_division=0)
    )
    recall = recall_score(label, pred, labels=present, average=None, zero_division=0)
    assert per_class(counted(pred, label))[present].tolist() == pytest.approx(recall.tolist())
    assert metric["num_absent"] == NUM - len(present)
    for name, classes in GROUPS.items():
        inside = [r for c, r in zip(present, recall, strict=True) if c in classes]
        assert metric[f"{name}_acc"] == pytest.approx(np.mean(inside) if inside else nan, nan_ok=True)
        assert metric[f"{name}_num"] == sum(y in classes for y in label)


@settings(deadline=None, max_examples=60)
@given(PAIRS)
def test_means_are_ordered_and_intervals_hold_them(pairs: list[tuple[int, int]]) -> None:
    metric = group_metrics(counted(*map(list, zip(*pairs, strict=True))), GROUPS)
    least, top = metric["worst_acc"], metric["mean_acc"]
    assert least - 1e-9 <= metric["geometric_acc"] <= top + 1e-9
    assert metric["harmonic_acc"] <= top + 1e-5  # the clamp lifts a zero by 1e-5
    for key in ("mean_acc", "head_acc", "medium_acc", "tail_acc"):
        if metric[key.replace("_acc", "_num")]:
            assert 0 <= metric[f"{key}_low"] <= metric[key] <= metric[f"{key}_high"] <= 1


@settings(deadline=None, max_examples=60)
@given(PAIRS, st.integers(0, 80), st.permutations(range(NUM)))
def test_batches_and_class_names_do_not_matter(pairs, cut: int, order: list[int]) -> None:  # type: ignore[no-untyped-def]
    pred, label = map(list, zip(*pairs, strict=True))
    whole, first = counted(pred, label), counted(pred[:cut], label[:cut])
    renamed = counted([order[x] for x in pred], [order[x] for x in label])
    first.update(torch.tensor(pred[cut:], dtype=torch.int64), torch.tensor(label[cut:], dtype=torch.int64))
    expected = group_metrics(whole, GROUPS)
    assert group_metrics(first, GROUPS) == pytest.approx(expected, nan_ok=True)
    moved = {name: [order[c] for c in classes] for name, classes in GROUPS.items()}
    assert group_metrics(renamed, moved) == pytest.approx(expected, nan_ok=True)


def test_by_hand() -> None:
    """Class 3 has no image, class 2 is never predicted, class 3 is predicted wrongly once."""
    counts = counted(pred=[0, 0, 0, 3, 1, 1, 0], label=[0, 0, 0, 0, 1, 1, 2], num_classes=4)
    assert counts.correct.tolist() == [3, 2, 0, 0]
    assert counts.predicted.tolist() == [4, 2, 0, 1]
    assert counts.total.tolist() == [4, 2, 1, 0]
    assert per_class(counts).tolist() == pytest.approx([0.75, 1.0, 0.0, nan], nan_ok=True)
    metric = group_metrics(counts, {"head": [0], "medium": [1, 3], "tail": [2]})
    expected = {
        "mean_acc": 1.75 / 3,
        "micro_acc": 5 / 7,
        "macro_f1": (6 / 8 + 1.0 + 0.0) / 3,
        "worst_acc": 0.0,
        "harmonic_acc": 3 / (1 / 0.75 + 1 + 1e5),
        "geometric_acc": 0.0,
        "num_absent": 1.0,
        "head_acc": 0.75,
        "medium_acc": 1.0,
        "tail_acc": 0.0,
        "medium_num": 2.0,
    }
    assert {key: metric[key] for key in expected} == pytest.approx(expected)


def test_harmonic_and_geometric_as_published() -> None:
    """The published evaluator counts in per cent: max(acc, 0.001) is a thousandth of a per cent."""
    correct, total = [0, 3, 9, 7], [5, 4, 10, 8]
    acc = [100 * c / n for c, n in zip(correct, total, strict=True)]
    metric = group_metrics(from_columns(correct, total, total), {})
    published = 100 / np.mean([1 / (max(a, 0.001) / 100) for a in acc])
    assert 100 * metric["harmonic_acc"] == pytest.approx(published)
    metric = group_metrics(from_columns(correct[1:], total[1:], total[1:]), {})
    assert metric["geometric_acc"] == pytest.approx(np.prod([a / 100 for a in acc[1:]]) ** (1 / 3))


def test_a_group_has_the_score_interval_of_its_classes() -> None:
    correct, total = np.array([300, 15, 2]), np.array([1000, 50, 5])
    metric = group_metrics(
        from_columns(correct.tolist(), total.tolist(), total.tolist()), {"tail": [0, 2], "head": [1]}
    )
    for name, own in (("mean", [0, 1, 2]), ("tail", [0, 2]), ("head", [1])):
        assert (metric[f"{name}_acc_low"], metric[f"{name}_acc_high"]) == score_interval(
            correct[own], total[own]
        )
        assert metric[f"{name}_num"] == total[own].sum()
    one = stats.binomtest(15, 50).proportion_ci(method="wilson")
    assert (metric["head_acc_low"], metric["head_acc_high"]) == pytest.approx((one.low, one.high))


def test_absent_class_is_left_out_of_its_group() -> None:
    metric = group_metrics(from_columns([1, 0, 4], [1, 3, 4], [2, 0, 8]), {"tail": [0, 1, 2]})
    assert (metric["tail_acc"], metric["tail_num"], metric["num_absent"]) == (0.5, 10, 1)
    assert metric["tail_acc_low"] == score_interval(np.array([1, 4]), np.array([2, 8]))[0]


def test_empty_groups_are_nan_and_always_there() -> None:
    metric = group_metrics(from_columns([1, 0], [1, 3], [2, 0]), {"head": [0], "tail": [], "rare": [1]})
    for name in ("medium", "tail", "rare"):
        assert all(isnan(metric[f"{name}_acc{part}"]) for part in ("", "_low", "_high"))
        assert metric[f"{name}_num"] == 0
    assert metric["head_acc"] == 0.5


def test_no_image_at_all_is_nan() -> None:
    metric = group_metrics(Counts.zeros(3), {"head": [0, 1, 2]})
    assert metric.pop("num_absent") == 3
    assert {metric.pop("mean_num"), metric.pop("head_num")} == {0}
    assert all(isnan(value) for key, value in metric.items() if not key.endswith("_num"))


def test_values_are_plain_floats() -> None:
    assert {type(x) for x in group_metrics(counted([0, 1], [0, 2]), GROUPS).values()} == {float}


@pytest.mark.parametrize(("pred", "label"), [([6], [0]), ([0], [6]), ([-1], [0]), ([0], [-1])])
def test_a_class_outside_is_refused_before_anything_is_counted(pred: list[int], label: list[int]) -> None:
    counts = counted([1], [1])
    with pytest.raises(ValueError, match=r"outside 0\.\.5"):
        counts.update(torch.tensor(pred), torch.tensor(label))
    assert counts.total.sum() == counts.predicted.sum() == 1


@pytest.mark.parametrize("classes", [[6], [-1], [0, 9]])
def test_a_group_outside_the_classes_is_refused(classes: list[int]) -> None:
    with pytest.raises(UserError, match=r"tail .*0 to 5"):
        group_metrics(Counts.zeros(NUM), {"tail": classes})


def test_a_class_twice_in_a_group_is_refused() -> None:
    with pytest.raises(UserError, match=r"tail=\[4, 4\]"):
        group_metrics(Counts.zeros(NUM), {"tail": [4, 4]})
