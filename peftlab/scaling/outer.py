"""The outer loop: the only owner of gamma's optimizer."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from peftlab.inputs.batch import Batch
from peftlab.inputs.eager import Adam
from peftlab.scaling.estimator.estimate import Estimate, Values
from peftlab.scaling.gamma import Gamma
from peftlab.scaling.plan import OuterPlan
from peftlab.site import Site

Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and targets
Now = Mapping[str, Any]  # what else a forward is told: its streams, its widths, where norms go
# loss(outputs of the cell with these values in it, targets)
Value = Callable[[Loss, Values, Values, Batch, Now], Tensor]


class OuterStep(NamedTuple):
    """One step of gamma: the outer loss before it, and per group gamma (after the step) and its gradient."""

    loss: float
    gamma: dict[str, float]
    grad: dict[str, float]
    ratio: dict[str, float]  # ||gamma delta|| / ||f|| per site: gamma alone is not identifiable


class Drawn(NamedTuple):
    """One outer split: its batches by number, and its own loss, whose class prior is that split's."""

    batches: Callable[[int], Batch]
    loss: Loss


class Problem(NamedTuple):
    """What the two levels share: theta as it is now, the value of a loss for any theta and gamma, the loss of the inner steps,
    and the `draw`-th outer split."""

    theta: Callable[[], Values]
    value: Value
    inner_loss: Loss
    draw: Callable[[int], Drawn]


class Outer:
    """After inner steps that the plan says: gamma <- Adam(gamma, hypergradient on a batch of the outer split).

    theta is not touched. No weight decay.

    Source: Tian et al. 2025 (MetaPEFT), arXiv:2603.01759. Differs: the class-stratified split and the warm-up (at
    B = 0 gamma's gradient is exactly 0) are ours.
    """

    def __init__(
        self,
        gamma: Gamma,
        plan: OuterPlan,
        estimator: Callable[..., Estimate],
        problem: Problem,
    ) -> None:
        assert gamma.raw is not None
        self.gamma, self.raw, self.plan = gamma, gamma.raw, plan
        self.optimizer = Adam([self.raw], lr=plan.lr, weight_decay=0.0)
        self.estimator, self.problem = estimator, problem
        memory = getattr(estimator, "options", {}).get("num_steps", 1)
        self.recent: deque[Batch] = deque(maxlen=memory)  # the last training batches
        self.num_steps = 0
        self.mean: Callable[[Tensor], Tensor] = lambda grad: grad  # over the processes that train together
        self._drawn: tuple[int, Drawn] | None = None

    def due(self, step: int) -> bool:
        """Whether an outer step follows inner step `step` (1 is the first)."""
        return self.plan.due(step)

    def step(self, step: int, now: Now) -> OuterStep:
        """One step of gamma after inner step `step`, with the streams and widths that it had."""
        split = self._split(self.plan.draw(step))
        batch = split.batches(self.num_steps)
        norms: dict[Site, Tensor] = {}
        now = {**now, "norms": norms}

        def inner(theta: Values, gamma: Values, t: int) -> Tensor:
            return self.problem.value(
                self.problem.inner_loss, theta, gamma, self.recent[t % len(self.recent)], now
            )

        def outer(theta: Values, gamma: Values) -> Tensor:
            return self.problem.value(split.loss, theta, gamma, batch, {**now, "dropout": self.plan.dropout})

        estimate = self.estimator(inner, outer, self.problem.theta(), {"raw": self.raw})
        self.raw.grad = self.mean(estimate.grad["raw"].detach().to(self.raw))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.num_steps += 1
        gamma, grad = (self.gamma.by_group(x) for x in (self.gamma.effective(), estimate.grad["raw"]))
        ratio = {str(site): float(value) for site, value in norms.items()}
        return OuterStep(float(estimate.outer_loss), gamma, grad, ratio)

    def state(self) -> dict[str, Any]:
        """Adam's state and the number of outer steps; the batches follow from the step."""
        return {"optimizer": self.optimizer.state_dict(), "num_steps": self.num_steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.num_steps = int(state["num_steps"])

    def _split(self, draw: int) -> Drawn:
        if self._drawn is None or self._drawn[0] != draw:
            self._drawn = draw, self.problem.draw(draw)
        return self._drawn[1]
