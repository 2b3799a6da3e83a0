"""What gamma is learned on, and by what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from torch import Tensor
from torch.func import functional_call

from peftlab.build.cell import Built
from peftlab.config.resolved import Resolved
from peftlab.dataset.batches import Draws
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.outer_split import coverage, outer_split
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.fit.learner import Learner
from peftlab.fit.precision import autocast
from peftlab.inputs.batch import Batch
from peftlab.network.network import Network
from peftlab.scaling.estimator.estimate import Values
from peftlab.scaling.estimator.math_attention import attention_kernel
from peftlab.scaling.outer import Drawn, Loss, Now, Outer, Problem
from peftlab.scaling.plan import OuterPlan
from peftlab.task.task import Task


@dataclass(frozen=True)
class OuterSplit:
    """The parts of the training split that the outer steps of a plan work on, each a function of (seed, draw)."""

    dataset: Dataset
    plan: OuterPlan
    seed: int

    def positions(self, draw: int) -> Int64[np.ndarray, " n"]:
        """Which training items the `draw`-th split holds. Held out for good, it leaves each class an item to train on."""
        labels, plan = self.dataset.train.labels, self.plan
        found = outer_split(
            labels, fraction=plan.fraction, stratified=plan.stratified, seed=self.seed, draw=draw
        )
        if not plan.hold_out:
            return found
        classes, firsts, drawn = np.unique(labels[found], return_index=True, return_counts=True)
        return np.delete(found, firsts[drawn == self.dataset.counts[classes]])

    def inner(self) -> Split:
        """What the inner steps are trained on: everything, or what is not held out."""
        train = self.dataset.train
        if not self.plan.hold_out:
            return train
        return train.subset(np.setdiff1d(np.arange(len(train)), self.positions(0)))

    def coverage(self) -> dict[str, Any]:
        """What the first split holds of every class."""
        return coverage(self.dataset.train.labels, self.positions(0), len(self.dataset.class_names))

    def check(self, num_steps: int) -> None:
        """Some outer step falls into the run, if it trains at all, and has items.

        Raises:
            UserError: if none does, or has none.
        """
        plan = self.plan
        if not len(self.positions(0)):
            raise UserError(
                f"scaling.outer.hold_out=true with scaling.outer.fraction={plan.fraction} holds nothing out, since each class keeps"
                " an image to train on; legal: false, or a class with two images or more and a larger share"
            )
        if num_steps and not any(plan.due(step) for step in range(1, num_steps + 1)):
            raise UserError(
                f"scaling.outer.warmup={plan.warmup} and scaling.outer.every={plan.every} leave no outer step in the"
                f" {num_steps} steps of this run, so gamma would never be learned; legal: smaller ones, or more fit.epochs"
            )


def build_outer(
    resolved: Resolved, network: Network, built: Built, learner: Learner, split: OuterSplit, task: Task
) -> Outer:
    """The outer loop of a cell."""
    cell, scaling, device = built.cell, built.scaling, learner.device
    context = autocast(resolved.fit, device)
    assert scaling.estimator is not None

    def value(loss: Loss, theta: Values, gamma: Values, batch: Batch, now: Now) -> Tensor:
        with context():
            values = {**theta, "gamma.raw": gamma["raw"]}
            outputs = functional_call(cell, values, (network, batch.inputs), dict(now))
        return loss(outputs.float(), batch.targets)

    def draw(number: int) -> Drawn:
        data = split.dataset
        part = data.train.subset(split.positions(number))
        draws = Draws(resolved.seed, f"outer/{number}")
        batches = data.train_batches(part, batch_size=split.plan.batch_size, draws=draws)
        take: Callable[[int], Batch] = lambda index: batches.batch(index).to(device)  # noqa: E731
        return Drawn(take, task.loss(part.labels, device))

    theta = lambda: {name: value.detach() for name, value in cell.theta().items()}  # noqa: E731
    problem = Problem(theta, value, learner.loss, draw)
    return Outer(scaling.gamma, split.plan, scaling.estimator, problem)


def hypergradient_line(resolved: Resolved) -> str:
    """How gamma's gradient is computed, in words."""
    estimator = resolved.scaling.options["estimator"]
    return f"{estimator.word}, with the {attention_kernel(estimator)} attention kernel in its inner losses"
