"""Intra-block positions as people write them: one name, a list of names, or a shortcut."""

from collections.abc import Sequence
from difflib import get_close_matches

from peftlab.errors import UserError

SHORTCUTS = {
    "attn_qv": ("q", "v"),
    "attn_qkv": ("q", "k", "v"),
    "attn_linear": ("q", "k", "v", "out"),
    "mlp": ("mlp1", "mlp2"),
}
OPTIONAL = {"mlp": ("gate",)}  # what a shortcut also names where it is legal: gated MLPs have a third matrix


def parse_position(position: str | Sequence[str], legal: Sequence[str], *, key: str) -> list[str]:
    """The positions that `position` names, in the order of `legal`; `all` is every one that is legal.

    Raises:
        UserError: naming `key`, the unknown name, the legal ones and the nearest match.
    """
    entries = [position] if isinstance(position, str) else list(position)
    if not entries:
        raise UserError(f"{key}=[] names no position; legal: {', '.join(legal)}")
    chosen: set[str] = set()
    for entry in entries:
        names = tuple(legal) if entry == "all" else _members(str(entry), legal)
        if not set(names) <= set(legal):
            raise UserError(
                f"{key}={entry} is not a position this method can take; legal: {_legal(legal, str(entry))}"
            )
        chosen.update(names)
    return [name for name in legal if name in chosen]


def _members(entry: str, legal: Sequence[str]) -> tuple[str, ...]:
    more = tuple(name for name in OPTIONAL.get(entry, ()) if name in legal)
    return (*SHORTCUTS.get(entry, (entry,)), *more)


def _legal(legal: Sequence[str], entry: str) -> str:
    shortcuts = [name for name, members in SHORTCUTS.items() if set(members) <= set(legal)]
    words = [*legal, *shortcuts, "all"]
    near = get_close_matches(entry, words, n=1)
    return ", ".join(words) + (f" (did you mean {near[0]}?)" if near else "")
