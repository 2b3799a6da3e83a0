"""How likely the tokens of answers are to a network, and how often they are its own choice, with intervals over answers."""

from math import nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

TOKENS_AT_ONCE = 1024  # whose scores of the whole vocabulary are in memory


class Interval(NamedTuple):
    """A value with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def named(self, name: str) -> dict[str, float]:
        """`name`, `name_low` and `name_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


@torch.no_grad()
def token_scores(
    head: nn.Module, features: Float[Tensor, "t d"], targets: Int64[Tensor, " t"]
) -> Float[Tensor, "t 2"]:
    """-log p of each target, and 1 where it is the most likely token."""
    found = []
    for start in range(0, len(targets), TOKENS_AT_ONCE):
        part = slice(start, start + TOKENS_AT_ONCE)
        scores, own = head(features[part]).float(), targets[part]
        nll = nn.functional.cross_entropy(scores, own, reduction="none")
        found.append(torch.stack([nll, (scores.argmax(-1) == own).float()], dim=1))
    return torch.cat(found) if found else features.new_zeros((0, 2), dtype=torch.float32)


def ratio(a: Float[Tensor, " n"], b: Tensor, level: float = 0.95) -> Interval:
    """sum a / sum b over answers, of which each has its own (a, b): a mean over tokens whose answers are the sample.

        var r = n / (n - 1) sum_i (a_i - r b_i)^2 / (sum b)^2

    NaN without an answer, and ends of NaN for one alone. Source: Cochran 1977, Sampling Techniques, section 6.4 (without the
    correction for a finite population).
    """
    a, b, num = a.double(), b.double(), len(a)
    if num == 0:
        return Interval(nan, nan, nan)
    value = float(a.sum() / b.sum())
    if num == 1:
        return Interval(value, nan, nan)
    spread = float((a - value * b).square().sum()) * num / (num - 1)
    half = NormalDist().inv_cdf((1 + level) / 2) * sqrt(spread) / float(b.sum())
    return Interval(value, value - half, value + half)
