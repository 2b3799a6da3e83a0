"""How sites act on a backbone: the forward of the module that they write is replaced; nothing else changes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone, Port
from peftlab.errors import UserError
from peftlab.network.attention import AttentionProduct
from peftlab.network.kernel.low_rank_linear import LowRank, low_rank_linear
from peftlab.network.tokens import Tokens
from peftlab.peft.delta import Additive, Delta, OnHeads, OnTokens
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

    A site that `scales` does not hold has the factor 1; `ones` are those whose scale is 1 for good. Parameter names of
    the backbone never change, no weight is copied, and `detach` restores the model exactly.
    """

    def __init__(
        self,
        backbone: Backbone,
        anchors: Iterable[Anchor],
        gates: Mapping[Site, nn.Module] | None = None,
        ones: Iterable[Site] = (),
    ) -> None:
        self.scales: dict[Site, Tensor] = {}
        self.norms: dict[Site, Tensor] | None = None
        self.gates, self.ones = dict(gates or {}), frozenset(ones)
        self._seen: dict[Site, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self._replaced: dict[nn.Module, None] = {}
        self._modules = dict(backbone.model.named_modules())
        if any("forward" in vars(module) for module in self._modules.values()):
            raise RuntimeError(
                "this backbone is adapted already; detach the other model first, or build another backbone"
            )
        self.anchors = anchors = list(anchors)
        adds: dict[str, list[Anchor]] = {}
        prompts: dict[str, Anchor] = {}
        for anchor in anchors:
            side = anchor.writes.side
            wanted = {"heads": OnHeads, "tokens": OnTokens}.get(side, Additive)
            if not isinstance(anchor.delta, wanted):
                raise UserError(
                    f"peft: {type(anchor.delta).__name__} cannot act at {anchor.site}; legal there: a {wanted.__name__}"
                )
            if side == "heads":
                self._replace(anchor.writes.module, partial(self._on_heads, anchor))
            elif side == "tokens":
                prompts[anchor.writes.module] = anchor
            else:
                adds.setdefault(anchor.writes.module, []).append(anchor)
                if anchor.reads.module != anchor.writes.module:
                    self._watch(self._modules[anchor.reads.module], anchor)
        for name, group in adds.items():
            self._replace(name, partial(self._add_all, self._modules[name], group))
        if prompts:
            tokens = Tokens(
                backbone,
                {name: (anchor.site, anchor.delta) for name, anchor in prompts.items()},
                self.factors,
                self.note,
            )
            for name, forward in tokens.forwards.items():
                self._replace(name, forward)

    def detach(self) -> None:
        """Take every site off again."""
        for module in self._replaced:
            del module.forward
        for handle in self._handles:
            handle.remove()
        self._replaced, self._handles = {}, []

    def factors(self, site: Site, read: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """gamma and the gate of a site; None is 1."""
        gate = self.gates.get(site)
        return None if site in self.ones else self.scales.get(site), None if gate is None else gate(read)

    def note(self, site: Site, added: Tensor, old: Tensor) -> None:
        """||gamma delta|| / ||f|| of a site, if somebody measures."""
        if self.norms is not None:
            self.norms[site] = (added.detach().norm() / old.detach().norm()).float()

    def _replace(self, name: str, forward: Callable[..., Tensor]) -> None:
        """`forward(frozen, *args)` instead of the module's own; several of them nest."""
        module = self._modules[name]
        module.forward = partial(forward, module.forward)
        self._replaced[module] = None

    def _watch(self, module: nn.Module, anchor: Anchor) -> None:
        """Keep what another module reads or writes until the site needs it, in the same forward."""

        def before(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            if anchor.delta.active != 0:
                self._seen[anchor.site] = args[0]

        def after(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            if anchor.delta.active != 0:
                self._seen[anchor.site] = output

        if anchor.reads.side == "in":
            self._handles.append(module.register_forward_pre_hook(before))
        else:
            self._handles.append(module.register_forward_hook(after))

    def _add_all(
        self, module: nn.Module, group: list[Anchor], frozen: Callable[..., Tensor], *args: Any, **kwargs: Any
    ) -> Tensor:
        """write <- write + gamma delta(read) for all sites that write what this module takes or gives, and are not off."""
        group = [anchor for anchor in group if anchor.delta.active != 0]
        if not group:
            return frozen(*args, **kwargs)
        merged = self._merged(module, group) if self.norms is None else None
        if merged is not None:
            assert isinstance(module, nn.Linear)
            return low_rank_linear(args[0], module.weight, module.bias, merged)
        read, rest = args[0], args[1:]
        for anchor in group:
            if anchor.writes.side == "in":
                read = self._add(read, anchor, read)
        write = frozen(read, *rest, **kwargs)
        for anchor in group:
            if anchor.writes.side == "out":
                write = self._add(write, anchor, read)
        return write

    def _merged(self, module: nn.Module, group: list[Anchor]) -> list[LowRank] | None:
        """The low-rank factors of all sites of a linear layer that read its input, or None if one has none."""
        if not isinstance(module, nn.Linear):
            return None
        parts = []
        for anchor in group:
            assert isinstance(anchor.delta, Additive)
            reads_input = anchor.reads == Port(anchor.writes.module, "in") and anchor.writes.side == "out"
            factors = anchor.delta.factors() if reads_input and anchor.site not in self.gates else None
            if factors is None:
                return None
            rows = slice(*_span(anchor.writes.part, module.out_features))
            scale = self.scales.get(anchor.site)
            parts.append(
                LowRank(
                    rows, torch.ones((), device=module.weight.device) if scale is None else scale, *factors
                )
            )
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
        added = anchor.delta(read)
        for factor in self.factors(anchor.site, read):
            added = added if factor is None else added * factor
        old = _part(write, anchor.writes.part)
        self.note(anchor.site, added, old)
        if anchor.writes.part[1] == 1:
            return write + added
        start, stop = _span(anchor.writes.part, write.shape[-1])
        return torch.cat([write[..., :start], old + added, write[..., stop:]], dim=-1)

    def _on_heads(
        self, anchor: Anchor, frozen: Callable[..., Tensor], read: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        """The module's forward with its attention product in the hands of the site."""

        def act(attend: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            gamma, gate = self.factors(anchor.site, read)
            if gamma is not None and gamma.ndim:
                gamma = gamma.unflatten(0, (k.shape[1], 1, -1))
            heads = anchor.delta(attend, q, k, v, gamma, None if gate is None else gate.unsqueeze(1))
            if self.norms is not None:
                alone = attend(q, k, v)
                self.note(anchor.site, heads - alone, alone)
            return heads

        if anchor.delta.active == 0:
            return frozen(read, *args, **kwargs)
        with AttentionProduct(act):
            return frozen(read, *args, **kwargs)


def _part(tensor: Tensor, part: tuple[int, int]) -> Tensor:
    return tensor if part[1] == 1 else tensor[..., slice(*_span(part, tensor.shape[-1]))]


def _span(part: tuple[int, int], width: int) -> tuple[int, int]:
    size = width // part[1]
    return part[0] * size, (part[0] + 1) * size
