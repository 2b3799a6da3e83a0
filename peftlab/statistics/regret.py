"""What is lost on test by a choice that was made on validation, and how much of it is left as more cells are trained."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


def chosen(val: Float[np.ndarray, " cells"]) -> list[int]:
    """The cells with the highest validation: more than one if they are equal, as on few items they often are."""
    return [int(place) for place in np.flatnonzero(val == val.max())]


def regret(val: Float[np.ndarray, " cells"], test: Float[np.ndarray, " cells"]) -> float:
    """The best cell on test less the one that validation chooses, both on test; of equals one is drawn."""
    return float(test.max() - test[chosen(val)].mean())


class Replay(NamedTuple):
    """Regret at each of some costs: its mean over random orders of the cells, and where 90 % of the orders lie."""

    cost: Float[np.ndarray, " points"]
    mean: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]


def replay(
    val: Float[np.ndarray, " cells"],
    test: Float[np.ndarray, " cells"],
    cost: Float[np.ndarray, " cells"],
    rng: np.random.Generator,
    num: int = 1000,
    points: int = 40,
) -> Replay:
    """Cells are trained one after the other in an order that is drawn; the best on validation of those that are there is chosen.

    The costs begin where every order has a cell, and end with the cost of all.
    """
    at = np.linspace(float(cost.max()), float(cost.sum()), points)
    found = np.empty((num, points))
    for row in range(num):
        order = rng.permutation(
            len(cost)
        )  # of equals the first in the order is chosen, which draws among them
        spent = np.cumsum(cost[order])
        ahead = np.maximum.accumulate(val[order])
        first = np.array([int(np.flatnonzero(val[order] == value)[0]) for value in ahead])
        there = np.searchsorted(spent, at * (1 + 1e-12), side="right") - 1
        found[row] = test.max() - test[order][first[there]]
    low, high = np.quantile(found, (0.05, 0.95), axis=0)
    return Replay(at, found.mean(0), low, high)
