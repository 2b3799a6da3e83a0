"""Activation checkpointing: what a block has computed is not kept for backward but computed again there, block by block."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from peftlab.network.acts import Act, Forward
from peftlab.network.forward import Pass

Around = Callable[[], AbstractContextManager[None]]


def recomputed(run: Pass, model: nn.Module, weights: Mapping[str, Tensor], around: Around) -> Act:
    """Around the forward of a block: only what enters it is kept until backward, where it runs once more, as it did.

    As it did: with the values that the cell had (in an outer step these are not its own), with `weights` in the place of
    the network's, with what stands in a context of `around`, and with the same random numbers, so gradients are those without
    it, bit for bit. A second derivative is not provided for. Source: Chen et al. 2016, arXiv:1604.06174; torch.utils.checkpoint.
    """
    values: dict[str, Tensor] = {f"cell.{name}": value for name, value in run.cell.named_parameters()}
    values |= {f"model.{name}": value for name, value in weights.items()}

    def act(frozen: Forward, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return frozen(*args, **kwargs)
        from torch.utils.checkpoint import checkpoint

        block = _Block(frozen, run, _Within(run.cell, model if weights else None), values, around)
        return checkpoint(block, *args, use_reentrant=False, **kwargs)

    return act


class _Within(nn.Module):
    """A call as the forward of a module, since only a module's call can have other values."""

    def __init__(self, cell: nn.Module, model: nn.Module | None) -> None:
        super().__init__()
        self.cell, self.model = cell, model

    def forward(self, call: Forward, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)


class _Block:
    """The forward of a block in a pass: the first call is that of the pass, every later one repeats it."""

    def __init__(
        self, frozen: Forward, run: Pass, within: _Within, values: dict[str, Tensor], around: Around
    ) -> None:
        self._frozen, self._run, self._within = frozen, run, within
        self._values, self._around = values, around
        self._rng = None if run.rng is None else run.rng.get_state()
        self._entered = run.entered
        self._is_first = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._is_first:
                self._is_first = False
                return self._frozen(*args, **kwargs)
            with self._around(), self._as_before():
                return functional_call(self._within, self._values, (self._frozen, *args), kwargs)
        finally:  # no site reads of another block; what nobody took would be kept as long as the pass
            self._run.seen.clear()
            self._run.given.clear()

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """Inside, the stream of the pass stands where it stood, and the prompts are those that entered."""
        rng = self._run.rng
        after = None if rng is None else rng.get_state()
        self._run.entered = self._entered
        if rng is not None and self._rng is not None:
            rng.set_state(self._rng)
        try:
            yield
        finally:
            self._run.entered = None
            if rng is not None and after is not None:
                rng.set_state(after)
