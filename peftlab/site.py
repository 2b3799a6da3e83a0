"""A site: the unit of placement, of gamma, and of a cell in every figure."""

from typing import NamedTuple

LINEAR = ("q", "k", "v", "out", "mlp1", "mlp2")
SUBLAYER = ("attn", "ffn")
NORM = ("norm1", "norm2")
POSITIONS = (*LINEAR, *SUBLAYER, *NORM)


class Site(NamedTuple):
    """One intra-block position of one block: `Site(3, "q")`, written `3.q`."""

    block: int
    position: str

    def __str__(self) -> str:
        return f"{self.block}.{self.position}"


def parse_site(text: str) -> Site:
    """The inverse of `str(site)`."""
    block, position = text.split(".")
    return Site(int(block), position)
