"""Deltas that are x -> M x + t, and what that does to the weight of the layer that they act on."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from peftlab.peft.delta import Delta, Dense
from peftlab.peft.delta import Diagonal as DiagonalTrait
from peftlab.peft.delta import LowRank as LowRankTrait
from peftlab.peft.view import Now

Matrix = Float[Tensor, "_ _"]
Vector = Float[Tensor, " _"]


class Diagonal(NamedTuple):
    """M = diag(s)."""

    s: Vector
    t: Vector | None

    def after(self, x: Matrix | Vector) -> Matrix | Vector:
        """M x."""
        return self.s.unsqueeze(-1) * x if x.ndim == 2 else self.s * x

    def before(self, x: Matrix) -> Matrix:
        """x M."""
        return x * self.s

    def matrix(self) -> Matrix:
        """M itself."""
        return torch.diag(self.s)


class LowRank(NamedTuple):
    """M = B A."""

    B: Matrix
    A: Matrix
    t: None = None

    def after(self, x: Matrix | Vector) -> Matrix | Vector:
        """M x."""
        return self.B @ (self.A @ x)

    def before(self, x: Matrix) -> Matrix:
        """x M."""
        return (x @ self.B) @ self.A

    def matrix(self) -> Matrix:
        """M itself."""
        return self.B @ self.A


class Full(NamedTuple):
    """M itself, which has no thin factors."""

    M: Matrix
    t: None = None

    def after(self, x: Matrix | Vector) -> Matrix | Vector:
        """M x."""
        return self.M @ x

    def before(self, x: Matrix) -> Matrix:
        """x M."""
        return x @ self.M

    def matrix(self) -> Matrix:
        """M itself."""
        return self.M


Affine = Diagonal | LowRank | Full


def affine(delta: Delta, scale: Tensor, width: int | None = None) -> Affine | None:
    """scale * delta in float64, if it is affine outside training. `scale` is a scalar, or one value per output.

    `width` is the rank that a nested delta works at.
    """
    scale = scale.detach().double()
    if isinstance(delta, LowRankTrait) and (factors := delta.factors(Now(width=width))) is not None:
        B, A = (value.detach().double() for value in factors)
        return LowRank(B * (scale.unsqueeze(-1) if scale.ndim else scale), A)
    if isinstance(delta, Dense):
        M = delta.matrix(Now(width=width)).detach().double()
        return Full(M * (scale.unsqueeze(-1) if scale.ndim else scale))
    if isinstance(delta, DiagonalTrait):
        s, t = delta.diagonal()
        return Diagonal(scale * s.detach().double(), None if t is None else scale * t.detach().double())
    return None
