"""A cell in training: the cell with its loss, its optimizers, its outer loop and its random streams."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from peftlab.fit.average import Average
from peftlab.fit.parallel import ALONE, Ranks
from peftlab.fit.prograd import Prograd
from peftlab.inputs.batch import Batch
from peftlab.stream import generator

Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and targets
Now = Mapping[str, Any]  # what else a forward is told: its streams, its widths


@runtime_checkable
class Batches(Protocol):
    """An endless stream of training batches that can be entered anywhere."""

    num_batches: int

    def iterate(self, start: int, share: tuple[int, int] = ...) -> Iterator[Batch]:
        """Batches start, start + 1, ..., or of each the items r, r + n, ... of `share=(r, n)`."""


@runtime_checkable
class Trainable(Protocol):
    """What training has to know of a cell."""

    def theta(self) -> dict[str, nn.Parameter]:
        """What the task optimizer owns."""

    def sample(self, rng: torch.Generator) -> Any:
        """The widths of a training step."""

    def state(self) -> dict[str, Tensor]:
        """All that is trained."""

    def load_state(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state`."""


class OuterStep(Protocol):
    """What an outer step says of itself: the outer loss before it, and of gamma by group and by site."""

    loss: float
    gamma: dict[str, float]
    grad: dict[str, float]
    ratio: dict[str, float]


@runtime_checkable
class Outer(Protocol):
    """The owner of a meta-learned gamma; see peftlab.scaling.outer."""

    recent: deque[Batch]  # the last training batches, as many as it wants

    def due(self, step: int) -> bool:
        """Whether an outer step follows inner step `step` (1 is the first)."""

    def step(self, step: int, now: Now) -> Any:
        """The outer step after inner step `step`, with the streams and widths that it had."""

    def state(self) -> dict[str, Any]:
        """All that it takes to go on."""

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""


@runtime_checkable
class Changing(Protocol):
    """A loss that is another one later in training."""

    phase: int  # which one it is now

    def at(self, share: float) -> None:
        """`share` of the training has passed."""


@dataclass(eq=False)
class Learner:
    """`optimizers` own theta, and gamma if it is learned jointly; `outer` None is the whole difference of a fixed gamma.

    Learners that train on the same `batches` object share its batches. Every random draw is a function of (seed, step).
    """

    cell: Trainable
    loss: Loss  # a mean over items, of which a batch has `weight`
    weight: Callable[[Batch], int]
    batches: Batches
    optimizers: list[torch.optim.Optimizer]
    outer: Outer | None
    seed: int
    device: torch.device
    ranks: Ranks = ALONE  # who else trains this cell
    average: Average | None = None  # of the cell, which is then what is validated and tested
    prograd: Prograd | None = None

    def now(self, index: int, rank: int = 0) -> Now:
        """The streams and widths of step `index` (0 is the first). Each rank draws dropout for its own items."""
        widths = self.cell.sample(generator(self.seed, "draw", index))
        more = (rank,) if rank else ()
        return {"rng": generator(self.seed, "dropout", index, *more, device=self.device), "widths": widths}

    def begin(self, share: float) -> None:
        """A step, before which `share` of the training has passed."""
        if isinstance(self.loss, Changing):
            self.loss.at(share)

    @property
    def phase(self) -> int:
        """Of its loss."""
        return self.loss.phase if isinstance(self.loss, Changing) else 0

    def owned(self) -> list[nn.Parameter]:
        """What its optimizers train: theta, and gamma if it is learned jointly."""
        groups = [group for optimizer in self.optimizers[1:] for group in optimizer.param_groups]
        return [*self.cell.theta().values(), *(value for group in groups for value in group["params"])]

    def with_grads(self) -> list[nn.Parameter]:
        """All whose gradients a step adds up."""
        return [*self.owned(), *([] if self.prograd is None else self.prograd.twins)]

    def averaged(self) -> None:
        """After a step: its part of the average, if there is one."""
        if self.average is not None:
            self.average.update(self.cell.state())

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """The cell is what is validated and tested, its average if there is one, until the block ends."""
        if self.average is None:
            yield
            return
        trained = {name: value.clone() for name, value in self.cell.state().items()}
        self.cell.load_state(self.average.values)
        try:
            yield
        finally:
            self.cell.load_state(trained)

    def state(self) -> dict[str, Any]:
        """All that it takes to go on, the step aside."""
        own = {} if self.average is None else {"average": _on_cpu(self.average.values)}
        return {
            "cell": _on_cpu(self.cell.state()),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "outer": None if self.outer is None else self.outer.state(),
            **own,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.cell.load_state(state["cell"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.outer is not None:
            self.outer.load_state(state["outer"])
        if self.average is not None:
            self.average.load(state["average"])


def _on_cpu(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu() for name, value in values.items()}
