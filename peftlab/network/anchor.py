"""A site with what it reads, what it writes, and its delta."""

from dataclasses import dataclass

from peftlab.backbone.backbone import Port
from peftlab.errors import UserError
from peftlab.peft.delta import Additive, Delta, OnHeads, OnTokens
from peftlab.site import Site

FORMS: dict[str, type[Delta]] = {
    "heads": OnHeads,
    "tokens": OnTokens,
}  # what acts at a side; elsewhere Additive


@dataclass(frozen=True, eq=False)
class Anchor:
    """The insertion of one site; its gate, if it has one, reads `gate_reads`, or what the site reads (None). What it adds, it adds
    at `joins`, too, if that is a port.

    Raises:
        UserError: if a delta of this kind cannot act there.
    """

    site: Site
    reads: Port
    writes: Port
    delta: Delta
    gate_reads: Port | None = None
    joins: Port | None = None

    def __post_init__(self) -> None:
        wanted = FORMS.get(self.writes.side, Additive)
        if not isinstance(self.delta, wanted):
            raise UserError(
                f"peft: {type(self.delta).__name__} cannot act at {self.site}; legal there: a {wanted.__name__}"
            )

    @property
    def key(self) -> str:
        """The key of its site in state dicts."""
        return site_key(self.site)


def site_key(site: Site) -> str:
    """The key of a site in state dicts, where a dot would separate modules: `3_q`."""
    return f"{site.block}_{site.position}"
