"""Two answers to each item of a split, compared item by item."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from peftlab.evaluate.evaluate import Outputs
from peftlab.evaluate.metrics import GROUPS, Counts, per_class
from peftlab.inputs.batch import Batch


@dataclass
class Paired:
    """What each of two counted, and how many items of each class both had right."""

    own: Counts
    other: Counts
    both: Int64[Tensor, " c"]

    @classmethod
    def zeros(cls, num_classes: int) -> "Paired":
        """Before the first item."""
        both = torch.zeros(num_classes, dtype=torch.int64)
        return cls(Counts.zeros(num_classes), Counts.zeros(num_classes), both)

    def read(self, own: Float[Tensor, "b _"], other: Float[Tensor, "b _"], label: Int[Tensor, " b"]) -> None:
        """Add one batch of outputs, in place."""
        first, second = self.own.read(own, label), self.other.read(other, label)
        right = label[(first == label) & (second == label)]
        self.both += torch.bincount(right, minlength=len(self.both))


@torch.no_grad()
def compare(
    outputs: Outputs,
    others: Outputs,
    batches: Iterable[Batch],
    num_classes: int,
    device: torch.device,
    context: Callable[[], AbstractContextManager[None]],
) -> Paired:
    """`evaluate` of two at once: each batch is read one time."""
    paired = Paired.zeros(num_classes)
    for batch in batches:
        inputs = batch.to(device).inputs
        with context():
            found = outputs(inputs), others(inputs)
        paired.read(*found, batch.targets)
    return paired


def gains(paired: Paired, groups: dict[str, list[int]], level: float = 0.95) -> dict[str, float]:
    """own - other of every group's mean accuracy, with its paired interval over items: `mean_acc`, `mean_acc_low`, `mean_acc_high`, ...

        d = mean_c d_c,  d_c = (own_c - other_c) / n_c,  var d = 1/K^2 sum_c (u_c - d_c^2) / n_c

    u_c is the share of items that one of the two has right and the other not: the square of an item's difference is 1
    there and else 0. Classes without an item are left out; a group without any is NaN. Source: McNemar's setting, Agresti 2013,
    Categorical Data Analysis, 11.1 (one class), summed over independent classes.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    total = paired.own.total.double()
    d = per_class(paired.own) - per_class(paired.other)
    unequal = (paired.own.correct + paired.other.correct - 2 * paired.both).double() / total
    found: dict[str, float] = {}
    every = {"mean": list(range(len(total))), **{name: groups.get(name, []) for name in (*GROUPS, *groups)}}
    for name, classes in every.items():
        own = [index for index in classes if total[index] > 0]
        mean = float(d[own].mean())  # NaN for none
        half = z * sqrt(float(((unequal - d.square()) / total)[own].sum().clamp_min(0))) / max(1, len(own))
        low, high = max(-1.0, mean - half), min(1.0, mean + half)
        ends = (low, high) if own else (mean, mean)
        found |= dict(zip((f"{name}_acc", f"{name}_acc_low", f"{name}_acc_high"), (mean, *ends), strict=True))
    return found
