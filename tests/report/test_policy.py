"""Who stops at a rung: the two rules, ties, pairs of one seed, cells without a value."""

from math import nan

import pytest

from peftlab.errors import UserError
from peftlab.report.race.policy import Policy, judge, policy_of
from peftlab.statistics.interval import paired_difference, score_difference

POLICY = Policy(rungs=(0.125, 0.25, 0.5), keep=0.5, clear=False, metric="mean_acc")
CLEAR = Policy(rungs=(0.5,), keep=None, clear=True, metric="mean_acc")


def values(*accuracies: float, half: float = nan) -> dict[int, tuple[float, float, float]]:
    return {seed: (value, value - half, value + half) for seed, value in enumerate(accuracies)}


def going(policy: Policy, **cells: dict[int, tuple[float, float, float]]) -> list[str]:
    return [name for name, said in judge(policy, cells).items() if said.stops is None]


@pytest.mark.parametrize(
    ("of", "every", "epochs"),
    [
        (8, 1, [1, 2, 4]),
        (10, 1, [2, 3, 5]),
        (3, 1, [1, 1, 2]),
        (1, 1, [None, None, None]),
        (8, 3, [3, 3, 6]),
        (8, 8, [None, None, None]),
    ],
)
def test_a_rung_is_at_an_epoch_that_is_validated(of: int, every: int, epochs: list[int | None]) -> None:
    assert [POLICY.epochs(rung, of, every) for rung in range(3)] == epochs
    assert POLICY.epochs(3, of, every) is None


def test_the_first_half_goes_on_and_of_equals_the_earlier() -> None:
    assert going(POLICY, a=values(0.1), b=values(0.3), c=values(0.2), d=values(0.2)) == ["b", "c"]
    assert going(POLICY, a=values(0.1), b=values(0.3), c=values(0.2)) == ["b", "c"], "half of three is two"
    assert going(POLICY, a=values(0.1), b=values(0.1)) == ["a"]
    assert going(POLICY, a=values(0.1)) == ["a"]
    assert judge(POLICY, {}) == {}


def test_a_cell_without_a_value_is_not_judged() -> None:
    found = judge(POLICY, {"a": {}, "b": values(0.2), "c": values(0.1)})
    assert set(found) == {"b", "c"}
    assert found["c"].stops == "not among the first 1"


def test_means_are_over_the_seeds_that_all_have() -> None:
    easy = {1: (0.9, nan, nan)}  # a seed on which everybody is good
    cells = {"a": {**values(0.5), **easy}, "b": values(0.6)}
    assert {name: said.mean for name, said in judge(POLICY, cells).items()} == {"a": 0.5, "b": 0.6}


def test_clearly_worse_is_students_t_over_pairs_of_a_seed() -> None:
    """Both cells move by 20 points with the seed, and differ by two in each: a t test of the means would see nothing."""
    cells = {"a": values(0.5, 0.6, 0.7), "b": values(0.48, 0.581, 0.679), "c": values(0.48, 0.62, 0.695)}
    found = judge(CLEAR, cells)
    assert {name: said.stops for name, said in found.items()} == {
        "a": None,
        "b": "clearly worse than the best",
        "c": None,
    }
    mean, half, number = paired_difference(
        {seed: value[0] for seed, value in cells["b"].items()},
        {seed: value[0] for seed, value in cells["a"].items()},
    )
    assert number == 3
    assert found["b"].difference == pytest.approx((mean, mean - half, mean + half))


@pytest.mark.parametrize(("half", "stops"), [(0.02, True), (0.2, False), (nan, False)])
def test_with_one_seed_it_is_newcombes_over_the_items(half: float, stops: bool) -> None:
    cells = {"a": values(0.6, half=half), "b": values(0.5, half=half)}
    found = judge(CLEAR, cells)
    assert (found["b"].stops is not None) is stops
    if half == half:
        assert found["b"].difference == score_difference(cells["b"][0], cells["a"][0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rungs": []}, r"rungs=\[\] are no shares"),
        ({"rungs": [0.5, 0.5]}, "are no shares of fit.epochs in order"),
        ({"rungs": [0.5, 1.5]}, "are no shares"),
        ({"rungs": ["half"]}, "are no shares"),
        ({"rungs": 0.5}, "are no shares"),
        ({"keep": 1}, "keep=1 is no share of the cells"),
        ({"keep": None, "clear": False}, "stop no cell"),
    ],
)
def test_a_policy_that_is_none_is_refused(changes: dict[str, object], sentence: str) -> None:
    options = {"rungs": [0.125, 0.25, 0.5], "keep": 0.5, "clear": False, "metric": "mean_acc"}
    assert policy_of(**options) == POLICY  # type: ignore[arg-type]
    with pytest.raises(UserError, match=sentence):
        policy_of(**{**options, **changes})  # type: ignore[arg-type]
