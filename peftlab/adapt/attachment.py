"""How sites act on a backbone: the forward of the module that they write is replaced; nothing else changes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.adapt.low_rank_linear import LowRank, low_rank_linear
from peftlab.backbone.backbone import Port
from peftlab.errors import UserError
from peftlab.peft.delta import Delta
from peftlab.site import Site


@dataclass(frozen=True)
class Anchor:
    """The insertion of one site: the port it reads, the port it writes, and its delta."""

    site: Site
    reads: Port
    writes: Port
    delta: Delta


class Attachment:
    """All sites of one backbone. `scales` holds gamma during a forward; `norms`, if a dict, collects what each adds.

    Parameter names of the backbone never change, no weight is copied, and `detach` restores the model exactly.
    """

    def __init__(self, model: nn.Module, anchors: Iterable[Anchor]) -> None:
        self.scales: dict[Site, Tensor] = {}
        self.norms: dict[Site, Tensor] | None = None
        self._seen: dict[Site, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._modules: list[nn.Module] = []
        modules = dict(model.named_modules())
        if any("forward" in vars(module) for module in modules.values()):
            raise RuntimeError(
                "this backbone is adapted already; detach the other model first, or build another backbone"
            )
        groups: dict[str, list[Anchor]] = {}
        for anchor in anchors:
            groups.setdefault(anchor.writes.module, []).append(anchor)
            if anchor.reads.module != anchor.writes.module:
                self._watch(modules[anchor.reads.module], anchor)
        for name, group in groups.items():
            module = modules[name]
            module.forward = partial(self._forward, module, module.forward, group)
            self._modules.append(module)

    def detach(self) -> None:
        """Take every site off again."""
        for module in self._modules:
            del module.forward
        for handle in self._handles:
            handle.remove()
        self._modules, self._handles = [], []

    def _watch(self, module: nn.Module, anchor: Anchor) -> None:
        """Keep what another module reads or writes until the site needs it, in the same forward."""

        def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._seen[anchor.site] = args[0]

        def after(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            self._seen[anchor.site] = output

        if anchor.reads.side == "in":
            self._handles.append(module.register_forward_pre_hook(before))
        else:
            self._handles.append(module.register_forward_hook(after))

    def _forward(
        self, module: nn.Module, frozen: Callable[..., Tensor], group: list[Anchor], *args: Any, **kwargs: Any
    ) -> Tensor:
        merged = self._merged(module, group) if self.norms is None else None
        if merged is not None:
            assert isinstance(module, nn.Linear)
            return low_rank_linear(args[0], module.weight, module.bias, merged)
        write = frozen(*args, **kwargs)
        for anchor in group:
            write = self._add(write, anchor, args[0])
        return write

    def _merged(self, module: nn.Module, group: list[Anchor]) -> list[LowRank] | None:
        """The low-rank factors of all sites of a linear layer that read its input, or None if one has none."""
        if not isinstance(module, nn.Linear):
            return None
        parts = []
        for anchor in group:
            factors = anchor.delta.factors() if anchor.reads == Port(anchor.writes.module, "in") else None
            if factors is None:
                return None
            rows = slice(*_span(anchor.writes.part, module.out_features))
            parts.append(LowRank(rows, self.scales[anchor.site], *factors))
        return parts

    def _add(self, write: Tensor, anchor: Anchor, read_in: Tensor) -> Tensor:
        """write <- write + gamma delta(read) on the part of the last axis that the site writes."""
        if anchor.reads.module != anchor.writes.module:
            if anchor.site not in self._seen:
                raise UserError(
                    f"peft.insertion: {anchor.site} reads {anchor.reads.module}, which runs after the module it writes"
                )
            read = self._seen.pop(anchor.site)
        else:
            read = read_in if anchor.reads.side == "in" else _part(write, anchor.reads.part)
        added = anchor.delta(read) * self.scales[anchor.site]
        old = _part(write, anchor.writes.part)
        if self.norms is not None:
            self.norms[anchor.site] = (added.detach().norm() / old.detach().norm()).float()
        if anchor.writes.part[1] == 1:
            return write + added
        start, stop = _span(anchor.writes.part, write.shape[-1])
        return torch.cat([write[..., :start], old + added, write[..., stop:]], dim=-1)


def _part(tensor: Tensor, part: tuple[int, int]) -> Tensor:
    return tensor if part[1] == 1 else tensor[..., slice(*_span(part, tensor.shape[-1]))]


def _span(part: tuple[int, int], width: int) -> tuple[int, int]:
    size = width // part[1]
    return part[0] * size, (part[0] + 1) * size
