"""How many steps there are, what each takes, and at which learning rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from peftlab.fit.plan import Plan


@dataclass(frozen=True)
class Schedule:
    """The steps of a plan on a split of `num_batches` batches; the last step of an epoch may hold fewer than `accumulate`."""

    plan: Plan
    num_batches: int

    @property
    def per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return math.ceil(self.num_batches / self.plan.accumulate)

    @property
    def num_steps(self) -> int:
        """Of the whole training."""
        return self.plan.epochs * self.per_epoch

    @property
    def end(self) -> int:
        """The step after which this training stops: the last one, or that of `fit.stop_after`."""
        return (self.plan.last_epoch or self.plan.epochs) * self.per_epoch

    def first_batch(self, index: int) -> int:
        """The number of the first batch of step `index` (0 is the first)."""
        epoch, within = divmod(index, self.per_epoch)
        return epoch * self.num_batches + within * self.plan.accumulate

    def batches_in(self, index: int) -> int:
        """How many batches step `index` takes."""
        within = index % self.per_epoch
        return min(self.plan.accumulate, self.num_batches - within * self.plan.accumulate)

    def lr_factor(self, index: int) -> float:
        """Of step `index`."""
        return lr_factor(index, self.num_steps, round(self.plan.warmup_epochs * self.per_epoch))


def lr_factor(step: int, num_steps: int, num_warmup: int) -> float:
    """Linear warm-up, then a half cosine to 0 over the steps that there really are; `step` counts from 0."""
    if step < num_warmup:
        return (step + 1) / (num_warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - num_warmup) / max(1, num_steps - num_warmup)))


def base_rates(optimizers: Sequence[torch.optim.Optimizer]) -> list[list[float]]:
    """The learning rates of all groups before a schedule touched them."""
    return [
        [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
        for optimizer in optimizers
    ]


def set_rates(optimizers: Sequence[torch.optim.Optimizer], base: list[list[float]], factor: float) -> None:
    """Every learning rate is `factor` times its base."""
    for optimizer, rates in zip(optimizers, base, strict=True):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"], group["initial_lr"] = rate * factor, rate
