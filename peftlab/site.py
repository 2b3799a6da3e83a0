"""A site: the unit of placement, of gamma, and of a cell in every figure."""

from typing import NamedTuple

# gate: the second matrix of a gated MLP; in, x, dt: of a state space (Mamba), whose last layer is out; x...: of an attention
# to another stack of blocks, where q is the stack's own and k and v are of what the other one gives
CROSS = ("xq", "xk", "xv", "xout")
SCAN = ("in", "x", "dt")
# proj: from the features of one of two towers into the space that both share
LINEAR = ("q", "k", "v", *SCAN, "out", *CROSS, "mlp1", "gate", "mlp2", "proj")
SUBLAYER = ("attn", "ffn")
NORM = ("norm1", "norm2")
MEMBERS = {
    "attn": ("q", "k", "v", "out"),
    "ffn": ("mlp1", "gate", "mlp2"),
}  # the linear layers of a sub-layer
HEADS = (
    "kv",
    "xkv",
)  # the attention product of all heads, and that of the attention to another stack: prefixes
STREAM = ("tokens",)  # the tokens that enter a block: prompts
CONTEXT = ("context",)  # the tokens around the name of a class, in the text tower of two
VECTOR = ("vector",)  # what one of two towers gives of an item, before its length is taken
# what a backbone of two towers alone has, and where that is
OF_TWO_TOWERS = {
    **dict.fromkeys(CONTEXT, "the names of classes"),
    **dict.fromkeys(VECTOR, "the vectors of two towers"),
}
POSITIONS = (*LINEAR, *SUBLAYER, *HEADS, *STREAM, *NORM, *CONTEXT, *VECTOR)


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


def site_order(site: Site) -> tuple[int, int]:
    """From the bottom block up, and within a block in the order of POSITIONS."""
    return site.block, POSITIONS.index(site.position)
