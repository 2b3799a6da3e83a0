"""Across data sets: one number of several tasks, how often one choice beats another, and how much of its scores lie above a level.

No ranks and no critical differences: they depend on which other choices happen to be in the table. Source: Agarwal et al. 2021,
"Deep reinforcement learning at the edge of the statistical precipice".
"""

from collections.abc import Callable, Sequence
from math import nan

import numpy as np
from jaxtyping import Float

Scores = Float[np.ndarray, "_ tasks"]  # a row for each seed, a column for each data set
DRAWS = 2000


def interquartile_mean(scores: Scores) -> float:
    """The mean of the middle half of all scores, every seed of every task: a quarter is cut at each end, whole scores only."""
    ordered = np.sort(scores, axis=None)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean()) if len(ordered) else nan


def probability_of_improvement(own: Scores, other: Scores) -> float:
    """The probability that a run of the first is above one of the second on a task drawn at random; a tie counts half."""
    shares = [
        float((np.sign(own[:, None, task] - other[None, :, task]) + 1).mean()) / 2
        for task in range(own.shape[1])
    ]
    return float(np.mean(shares))


def performance_profile(scores: Scores, levels: Float[np.ndarray, " levels"]) -> Float[np.ndarray, " levels"]:
    """The share of all scores above each level."""
    return np.asarray((scores[..., None] > levels).mean((0, 1)))


def stratified_interval(
    function: Callable[..., float], scores: Sequence[Scores], rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """The percentile interval of `function(*scores)` over seeds drawn again within each task, each choice by itself."""
    drawn = []
    for _ in range(DRAWS):
        again = []
        for one in scores:
            pick = rng.integers(len(one), size=one.shape)
            again.append(np.take_along_axis(one, pick, axis=0))
        drawn.append(function(*again))
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def profile_band(
    scores: Scores, levels: Float[np.ndarray, " levels"], rng: np.random.Generator, level: float = 0.95
) -> tuple[Float[np.ndarray, " levels"], Float[np.ndarray, " levels"]]:
    """The ends of the profile at each level by itself, over seeds drawn again within each task."""
    drawn = np.empty((DRAWS, len(levels)))
    for row in range(DRAWS):
        pick = rng.integers(len(scores), size=scores.shape)
        drawn[row] = performance_profile(np.take_along_axis(scores, pick, axis=0), levels)
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return low, high
