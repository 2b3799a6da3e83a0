"""Products of thin matrices with long ones, in the forms that are fast: many tokens, few ranks.

A stack of P equal parts has `up` [P, d, r], `down` [P r, d_in], and tokens [n, P d] on its outputs.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

PIECE = 320  # rows of the longest piece that a long matrix is cut into


def hidden_of(down: Float[Tensor, "r d"], x: Float[Tensor, "n d"]) -> Float[Tensor, "r n"]:
    """down x^T, piece by piece of x: a thin product over hundreds of rows stays in the cache."""
    num = _num_pieces(x.shape[0])
    if num == 1:
        return down @ x.T
    return torch.bmm(down.expand(num, -1, -1), x.unflatten(0, (num, -1)).mT).transpose(0, 1).flatten(1)


def back_of(up: Float[Tensor, "p d r"], grad: Float[Tensor, "n pd"]) -> Float[Tensor, "pr n"]:
    """up^T grad^T of every part."""
    if up.shape[0] == 1:
        return hidden_of(up[0].T, grad)
    return torch.bmm(up.mT, grad.unflatten(1, (up.shape[0], -1)).permute(1, 2, 0)).flatten(0, 1)


def cross_of(hidden: Float[Tensor, "pr n"], grad: Float[Tensor, "n pd"], num: int) -> Float[Tensor, "p r d"]:
    """hidden grad of every part, the sum over tokens."""
    if num == 1:
        return (hidden @ grad).unsqueeze(0)
    return torch.bmm(hidden.unflatten(0, (num, -1)), grad.unflatten(1, (num, -1)).transpose(0, 1))


def merged(
    weight: Float[Tensor, "pd d_in"], up: Float[Tensor, "p d r"], down: Float[Tensor, "pr d_in"]
) -> Float[Tensor, "pd d_in"]:
    """weight + up down, a new tensor."""
    num = up.shape[0]
    if num == 1:
        return torch.addmm(weight, up[0], down)
    return torch.baddbmm(weight.unflatten(0, (num, -1)), up, down.unflatten(0, (num, -1))).flatten(0, 1)


def add_up(y: Float[Tensor, "n pd"], hidden: Float[Tensor, "pr n"], up: Float[Tensor, "p d r"]) -> None:
    """y += up hidden, in place, part by part: a batched product into a view of y could not be compiled."""
    num = up.shape[0]
    for own, of_part, rows in zip(y.chunk(num, 1), hidden.chunk(num), up, strict=True):
        own.addmm_(of_part.T, rows.T)


@cache
def _num_pieces(num_rows: int) -> int:
    """How many equal pieces of a third of PIECE to PIECE rows there are; 1 if there are none."""
    lengths = range(PIECE, PIECE // 3, -1)
    return next((num_rows // length for length in lengths if num_rows % length == 0), 1)
