"""Regret of a choice on validation: against counting all orders and subsets."""

from math import comb

import numpy as np
import pytest

from peftlab.statistics.regret import chosen, regret, replay


def test_regret_of_a_choice_and_of_equals() -> None:
    test = np.array([0.5, 0.9, 0.7])
    assert regret(np.array([1.0, 3.0, 2.0]), test) == 0
    assert regret(np.array([3.0, 1.0, 2.0]), test) == pytest.approx(0.4)
    assert chosen(np.array([2.0, 1.0, 2.0])) == [0, 2]
    assert regret(np.array([2.0, 1.0, 2.0]), test) == pytest.approx(0.3), "one of the two is drawn"


def test_of_equal_costs_against_the_law_of_the_highest_of_a_subset() -> None:
    rng = np.random.default_rng(0)
    num = 8
    val, test = rng.permutation(num).astype(float), rng.uniform(size=num)
    found = replay(val, test, np.full(num, 3.0), rng, num=20_000, points=num)
    assert found.cost.tolist() == [3.0 * (k + 1) for k in range(num)]
    by_val = test[np.argsort(-val)]
    for k in range(1, num + 1):  # the best of k drawn cells is that of rank j
        share = [comb(num - 1 - rank, k - 1) / comb(num, k) for rank in range(num)]
        assert found.mean[k - 1] == pytest.approx(test.max() - share @ by_val, abs=0.006)
    assert found.mean[-1] == pytest.approx(regret(val, test))
    assert (found.low <= found.mean + 1e-12).all()
    assert (found.mean <= found.high + 1e-12).all()
    assert found.low[-1] == found.high[-1]


def test_equals_and_unequal_costs() -> None:
    val, test, cost = np.array([1.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 9.0])
    found = replay(val, test, cost, np.random.default_rng(0), num=4000, points=2)
    assert found.cost.tolist() == [9.0, 10.0]
    # at 9 the dear cell alone is there, or the cheap one alone: the second of the two would end at 10
    assert found.mean == pytest.approx([0.5, 0.5], abs=0.03)
