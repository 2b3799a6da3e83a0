"""What a format has no place for, by name and with the reason."""

from collections.abc import Iterable
from typing import NamedTuple

from peftlab.errors import UserError
from peftlab.site import Site

SHOWN = 4


class Reason(NamedTuple):
    """Why the delta (or gate, or selection) at a site cannot be written; `site` None is all of the method."""

    name: str
    site: Site | None
    text: str


def refuse(to: str, reasons: Iterable[Reason], legal: str) -> None:
    """Nothing if there is no reason.

    Raises:
        UserError: one sentence with every method, its sites and why.
    """
    sites: dict[tuple[str, str], list[Site]] = {}
    for name, site, text in reasons:
        sites.setdefault((name, text), []).extend([] if site is None else [site])
    if sites:
        parts = [f"{name}{_where(own)} ({text})" for (name, text), own in sites.items()]
        raise UserError(f"--to {to} has no place for {', '.join(parts)}; legal: {legal}")


def _where(sites: list[Site]) -> str:
    if not sites:
        return ""
    more = f" and {len(sites) - SHOWN} more sites" if len(sites) > SHOWN else ""
    return f" at {', '.join(map(str, sites[:SHOWN]))}{more}"
