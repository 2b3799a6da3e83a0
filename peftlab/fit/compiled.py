"""fit.compile: the forward, the loss and the backward of a learner's step as one compiled graph."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from peftlab.errors import UserError
from peftlab.fit.learner import Learner, Now
from peftlab.fit.precision import Context
from peftlab.inputs.batch import Batch

BACKEND = "inductor"
DRAWS = (
    "fit.compile=true: this method draws random numbers in its forward, which a graph cannot; legal: dropout=0, or"
    " fit.compile=false"
)
Graph = Callable[..., list[Tensor | None]]  # the loss, then the gradient of each owned tensor that has one


class CompiledStep:
    """What an eager step does for one batch, traced as operations on tensors and compiled, once for each choice of widths and
    phase of the loss.

    What is traced is the whole step, our own backward in it, so a method needs nothing to be compiled, except that it draws
    nothing. The frozen weights are part of a graph; a cell's own tensors are its inputs. Only whole batches go through it:
    others would be graphs of their own.
    """

    def __init__(self, network: Any, learner: Learner, context: Context, size: int) -> None:
        ranks = learner.ranks
        self._network, self._learner, self._context = network, learner, context
        self._size = len(range(ranks.rank, size, ranks.world))
        self._graphs: dict[Any, Graph] = {}

    def takes(self, batch: Batch) -> bool:
        """Whether it is a whole one."""
        return len(batch.rows) == self._size

    def __call__(self, batch: Batch, now: Now, share: float) -> float:
        """The loss times `share`; its gradients are added to those of what the learner owns, if it is finite.

        Raises:
            UserError: for a method that draws.
        """
        weight = torch.tensor(share, device=batch.targets.device)
        given = (list(self._values().values()), batch.inputs, batch.targets, weight)
        key = (self._learner.phase, *sorted(now["widths"].items()))
        with torch.no_grad():
            if key not in self._graphs:
                self._graphs[key] = self._compiled(now, given)
            loss, *grads = self._graphs[key](*given)
        assert loss is not None
        value = loss.item()
        for owned, grad in zip(self._learner.owned(), grads, strict=True) if math.isfinite(value) else ():
            if grad is not None:
                owned.grad = grad if owned.grad is None else owned.grad + grad
        return value

    def _values(self) -> dict[str, Tensor]:
        cell = self._learner.cell
        assert isinstance(cell, nn.Module)
        return {**dict(cell.named_parameters()), **dict(cell.named_buffers())}

    def _compiled(self, now: Now, given: tuple[Any, ...]) -> Graph:
        from torch.fx.experimental.proxy_tensor import make_fx  # imports the compiler: seconds

        names = {id(value): name for name, value in self._values().items()}
        owned = [names[id(value)] for value in self._learner.owned()]

        def step(values: list[Tensor], inputs: dict[str, Tensor], targets: Tensor, share: Tensor) -> Any:
            own = {name: value.detach() for name, value in zip(names.values(), values, strict=True)}
            trained = [own[name].requires_grad_() for name in owned]
            with torch.enable_grad():
                with self._context():
                    output = functional_call(self._learner.cell, own, (self._network, inputs), dict(now))  # type: ignore[arg-type]
                loss = self._learner.loss(output.float(), targets) * share
                grads = torch.autograd.grad(loss, trained, allow_unused=True)
            return [loss.detach(), *grads]

        before = now["rng"].get_state()
        traced = make_fx(step)(*given)
        if not torch.equal(now["rng"].get_state(), before):
            raise UserError(DRAWS)
        graph: Graph = torch.compile(traced, backend=BACKEND, dynamic=False)
        return graph
