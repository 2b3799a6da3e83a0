"""peft=vera: random matrices that all sites share, and what each site makes of them."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import BelowOne, Range, Width
from peftlab.peft.delta import Additive, LowRank, Sharing
from peftlab.peft.dropout import dropout
from peftlab.peft.view import EVAL, Now, View

Factors = tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]]


class Vera(Additive, LowRank, Sharing):
    """delta(x) = diag(b) B diag(d) A dropout(x); b starts at 0 and d at `d_initial`, and only they are trained.

    A and B are kaiming-uniform (gain sqrt 2) and frozen. A site takes the first rows and columns of what its part shares,
    so its start does not depend on which other sites there are, nor on their widths.

    Source: Kopiczko et al. 2024, arXiv:2310.11454, eq. 2; Hugging Face's PEFT for dropout and for sites of several widths.
    Differs: the bound of A is that of the site's own width, where PEFT takes that of the widest site for all.
    """

    width_key: ClassVar[str | None] = "rank"

    def __init__(
        self,
        view: View,
        rng: torch.Generator,
        *,
        rank: Width,
        d_initial: Annotated[float | int, Range(0, 1000)],
        dropout: BelowOne,
    ) -> None:
        super().__init__()
        self.width = rank
        self.b = nn.Parameter(torch.zeros(view.num_out))
        self.d = nn.Parameter(torch.full((rank,), float(d_initial)))
        self.shared = view.shared
        self.num_in = view.num_in
        self.bound = math.sqrt(6 / rank) * math.sqrt(6 / view.num_in)  # that of B times that of A
        self.dropout = dropout

    @staticmethod
    def share(views: Sequence[View], rng: torch.Generator, *, width: int) -> nn.Module:
        """The projections of the widest site."""
        num_in, num_out = (max(getattr(view, side) for view in views) for side in ("num_in", "num_out"))
        return Projections(num_in, num_out, width, rng)

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """diag(b) B diag(d) A dropout(x)."""
        B, A = self._random()
        return self.b * F.linear(self.bound * self.d * F.linear(dropout(read, self.dropout, now), A), B)

    def factors(self, now: Now = EVAL) -> Factors | None:
        """(diag(b) B, diag(d) A), unless dropout acts between x and A."""
        if now.drops(self.dropout):
            return None
        B, A = self._random()
        return self.b.unsqueeze(-1) * B, (self.bound * self.d).unsqueeze(-1) * A

    def _random(self) -> Factors:
        """B and A of this site, each divided by its bound."""
        assert isinstance(self.shared, Projections)
        return self.shared.B[: len(self.b), : self.width], self.shared.A[: self.width, : self.num_in]


class Projections(nn.Module):
    """A [r, d_in] and B [d_out, r], uniform in +-1. They are saved, as numbers of a seed may change with torch's version.

    Every rank has a stream of its own, so a larger matrix holds all smaller ones.
    """

    A: Float[Tensor, "r d_in"]
    B: Float[Tensor, "d_out r"]

    def __init__(self, num_in: int, num_out: int, rank: int, rng: torch.Generator) -> None:
        super().__init__()
        seeds = torch.randint(2**62, (rank, 2), generator=rng).tolist()
        self.register_buffer("A", torch.stack([_uniform(num_in, seed) for seed, _ in seeds]))
        self.register_buffer("B", torch.stack([_uniform(num_out, seed) for _, seed in seeds], dim=1))


def _uniform(num: int, seed: int) -> Float[Tensor, " _"]:
    return 2 * torch.rand(num, generator=torch.Generator().manual_seed(seed)) - 1
