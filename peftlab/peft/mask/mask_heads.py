"""peft=mask_heads: whole attention heads, by their score."""

from dataclasses import dataclass

from peftlab.errors import UserError
from peftlab.peft.mask.mask import Groups
from peftlab.peft.mask.top_groups import Sliced
from peftlab.peft.weights import Weights

ROWS, COLUMNS = ("q", "k", "v", "xq", "xk", "xv"), ("out", "xout")


@dataclass(frozen=True, kw_only=True)
class MaskHeads(Groups):
    """Head i is its rows of q, k and v (weight and bias) and its columns of the output projection, as far as placed; heads of
    q that share one of k and v go together. The attention of a decoder to its encoder has heads of its own."""

    def slices(self, weights: Weights) -> list[Sliced]:
        """By head.

        Raises:
            UserError: for blocks whose heads are unknown.
        """
        slices = []
        for weight in weights.inside:
            assert weight.site is not None
            block, position = weight.site
            if block not in weights.num_heads:
                raise UserError(
                    f"peft: mask_heads does not know the heads of {weight.site}, whose attention is of its own kind; legal:"
                    " blocks with the position kv"
                )
            if position in ROWS:
                slices.append(Sliced(weight, 0, weights.num_heads[block]))
            elif position in COLUMNS and weight.value.dim() == 2:  # its bias belongs to no head
                slices.append(Sliced(weight, 1, weights.num_heads[block]))
        return slices
