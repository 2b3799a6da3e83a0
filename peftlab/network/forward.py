"""The state of one forward of one cell: a value that is made for it, passed along, and dropped after it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Port
from peftlab.errors import UserError
from peftlab.network.anchor import Anchor
from peftlab.network.cell import Cell
from peftlab.network.kernel.low_rank_linear import Source
from peftlab.network.mask import tokens_of, without_padding
from peftlab.peft.view import Context, Now
from peftlab.site import Site

Norms = dict[Site, Tensor]


@dataclass(eq=False)
class Pass:
    """What the sites of a cell share in one forward.

    scales: gamma of each site; a site that it does not hold has the factor 1. rng: the stream of dropout. widths:
    `Now.width` of some sites. norms: if a dict, takes ||gamma delta|| / ||f|| of each site. dropout: false keeps it off.
    masks: of what stands at a site, which tokens are no padding, and which of them a gate may read; prefix_at(site) tokens stand
    before prompts. context: where the tokens around class names stand. kept: if a dict, has what the gates of an earlier forward
    gave, which is taken again, or takes it: a network that writes an answer token by token reads the question once. opened: if a
    dict, takes what the gate of each site gave, of tokens that are no padding.
    num_frames: of each item, one behind the other on axis 0.
    seen: what a site or its gate reads of another module than the site writes, until then. entered: the prompts that
    entered the block below, if they left it again. given: what modules gave, until the layer that reads it. forwards: of the
    sub-layers that run over time, without what acts on them.
    """

    cell: Cell
    rng: torch.Generator | None = None
    widths: Mapping[Site, int] = field(default_factory=dict)
    norms: Norms | None = None
    dropout: bool = True
    masks: Callable[[Site], tuple[Tensor | None, Tensor | None]] = field(default=lambda site: (None, None))
    prefix_at: Callable[[Site], int] = field(default=lambda site: 0)
    context: Context | None = None
    kept: dict[Site, Tensor] | None = None
    opened: dict[Site, Tensor] | None = None
    num_frames: int = 1
    scales: dict[Site, Tensor] = field(init=False)
    seen: dict[tuple[Site, Port], Tensor] = field(default_factory=dict, init=False)
    entered: Tensor | None = field(default=None, init=False)
    given: dict[str, Source] = field(default_factory=dict, init=False)
    forwards: dict[str, Callable[..., Tensor]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.scales = self.cell.gamma.scales()

    def is_off(self, anchor: Anchor) -> bool:
        """Whether a site is as if it were not there."""
        return self.widths.get(anchor.site) == 0

    def now(self, site: Site) -> Now:
        """What the delta of a site has to know."""
        return Now(self.cell.training, self.rng, self.widths.get(site), self.dropout, context=self.context)

    def taken(self, site: Site, port: Port) -> Tensor:
        """What was seen for a site at a port.

        Raises:
            UserError: if nothing was, since its module has not run yet.
        """
        if (site, port) not in self.seen:
            raise UserError(
                f"peft.insertion: {site} reads {port.module}, which runs after the module it writes"
            )
        return self.seen.pop((site, port))

    def factors(self, anchor: Anchor, read: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """gamma and the gate of a site that reads `read`; None is 1."""
        site = anchor.site
        gamma = None if site in self.cell.gamma.ones else self.scales.get(site)
        gate = self.cell.gate_at(site)
        if gate is None:
            return gamma, None
        x = read if anchor.gate_reads is None else self.taken(site, anchor.gate_reads)
        _, asked = self.masks(site)
        is_flat = asked is not None and x.ndim == 2  # all texts one behind the other (OPT's FFN)
        x = x.unflatten(0, (len(asked), -1)) if asked is not None and is_flat else x
        value = self._opened(site, gate, x)
        return gamma, value.expand(*x.shape[:2], 1).flatten(0, 1) if is_flat else value

    def _opened(self, site: Site, gate: nn.Module, x: Tensor) -> Tensor:
        """How far the gate of a site is open."""
        if self.kept is not None and site in self.kept:
            return self.kept[site]
        tokens = tokens_of(self.masks(site)[1], x, self.prefix_at(site))
        value: Tensor = gate(x) if tokens is None else gate(x, tokens)
        is_token_s = getattr(gate, "per", None) == "token"
        if self.kept is not None and not is_token_s:
            self.kept[site] = value
        if self.opened is not None:
            self.opened[site] = value[tokens.bool()] if is_token_s and tokens is not None else value
        return value

    def note(self, site: Site, added: Tensor, old: Tensor) -> None:
        """||gamma delta|| / ||f|| of a site, if somebody wants it."""
        if self.norms is not None:
            present, _ = self.masks(site)
            added, old = (without_padding(value, present, self.prefix_at(site)) for value in (added, old))
            # on a device without numbers there is nothing to measure, and a norm there takes longer than the method itself
            ratio = added.new_empty(()) if added.is_meta else added.detach().norm() / old.detach().norm()
            self.norms[site] = ratio.float()
