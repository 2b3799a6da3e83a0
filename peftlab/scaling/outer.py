"""The outer loop: the only owner of gamma's optimizer."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import functional_call

from peftlab.inputs.batch import Batch
from peftlab.loss.cross_entropy import Loss
from peftlab.network.adapted import Adapted
from peftlab.option import Fraction, NonNegativeInt, PositiveFloat, PositiveInt
from peftlab.scaling.estimator.estimate import Estimate, Values


class OuterStep(NamedTuple):
    """One step of gamma: the outer loss before it, and per group gamma (after the step) and its gradient."""

    loss: float
    gamma: dict[str, float]
    grad: dict[str, float]
    ratio: dict[str, float]  # ||gamma delta|| / ||f|| per site: gamma alone is not identifiable


class Outer:
    """Every `every` inner steps after `warmup`: gamma <- Adam(gamma, hypergradient on a batch of the outer split).

    theta is not touched. No weight decay. `draw(k)` gives the k-th outer split's batches and its own loss (whose class
    prior is that split's); a new one is drawn every `resample` inner steps, unless it is held out.

    Source: Tian et al. 2025 (MetaPEFT), arXiv:2603.01759. Differs: the class-stratified split and the warm-up (at
    B = 0 gamma's gradient is exactly 0) are ours.
    """

    def __init__(
        self,
        model: Adapted,
        draw: Callable[[int], tuple[Callable[[int], Batch], Loss]],
        inner_loss: Loss,
        context: Callable[[], Any],
        estimator: Callable[..., Estimate],
        *,
        every: PositiveInt,
        warmup: NonNegativeInt,
        lr: PositiveFloat,
        batch_size: PositiveInt,
        fraction: Fraction,
        stratified: bool,
        resample: PositiveInt,
        hold_out: bool,
    ) -> None:
        assert model.gamma.raw is not None
        self.model, self.raw = model, model.gamma.raw
        self.optimizer = torch.optim.Adam([self.raw], lr=lr, weight_decay=0.0)
        self.estimator, self.inner_loss, self.context = estimator, inner_loss, context
        self.every, self.warmup, self.resample, self.hold_out = every, warmup, resample, hold_out
        keywords = getattr(estimator, "keywords", {})
        self.recent: deque[Batch] = deque(maxlen=keywords.get("num_steps", 1))
        self.num_steps = 0
        self._draw, self._drawn = draw, -1
        self._batches: Callable[[int], Batch]
        self._loss: Loss

    def due(self, step: int) -> bool:
        """Whether an outer step follows inner step `step` (1 is the first)."""
        return step > self.warmup and step % self.every == 0

    def step(self, step: int) -> OuterStep:
        """One step of gamma after inner step `step`; `recent` holds the last training batches."""
        split = 0 if self.hold_out else (step - 1) // self.resample
        if split != self._drawn:
            self._batches, self._loss = self._draw(split)
            self._drawn = split
        batch = self._batches(self.num_steps)
        with self.model.measure() as norms:
            estimate = self.estimator(
                self._inner,
                lambda theta, gamma: self._value(self._loss, theta, gamma, batch),
                self._theta(),
                {"raw": self.raw},
            )
        ratio = {str(site): float(value) for site, value in norms.items()}
        self.raw.grad = estimate.grad["raw"].detach().to(self.raw)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.num_steps += 1
        gamma, grad = self._by_group(self.model.gamma.effective()), self._by_group(estimate.grad["raw"])
        return OuterStep(float(estimate.outer_loss), gamma, grad, ratio)

    def state_dict(self) -> dict[str, Any]:
        """Adam's state and the number of outer steps; the batches follow from the step."""
        return {"optimizer": self.optimizer.state_dict(), "num_steps": self.num_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_steps = int(state["num_steps"])

    def _theta(self) -> Values:
        return {name: value.detach() for name, value in self.model.theta().items()}

    def _inner(self, theta: Values, gamma: Values, t: int) -> Tensor:
        return self._value(self.inner_loss, theta, gamma, self.recent[t % len(self.recent)])

    def _value(self, loss: Loss, theta: Values, gamma: Values, batch: Batch) -> Tensor:
        with self.context():
            logits = functional_call(
                self.model, {**theta, "gamma.raw": gamma["raw"]}, (batch.inputs["images"],)
            )
        return loss(logits.float(), batch.targets)

    def _by_group(self, values: Tensor) -> dict[str, float]:
        gamma = self.model.gamma
        pieces = values.detach().split(gamma.sizes) if gamma.sizes else values.detach().unbind()
        return {name: float(piece.mean()) for name, piece in zip(gamma.names, pieces, strict=True)}
