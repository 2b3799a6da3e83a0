"""peft=dora: the size and the direction of a frozen weight's rows, trained apart."""

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import BelowOne, Width
from peftlab.peft.delta import Additive, Dense, Elastic, OfWeight
from peftlab.peft.dropout import dropout
from peftlab.peft.view import EVAL, Now, View


class Dora(Additive, Elastic, Dense, OfWeight):
    """delta(x) = (W' - W) dropout(x) with W' = m (W + B A) / ||W + B A||; B, A as LoRA's, m starts at ||W||.

    Norms are those of rows, one for each output, and constants to every gradient (section 4.3), also where the outer
    loop of scaling=meta asks for a second one.

    Source: Liu et al. 2024, arXiv:2402.09353, eq. 5; Hugging Face's PEFT for the rows and for dropout, which acts on W x
    too. Differs: gamma multiplies all of delta and not B A inside the norm (PEFT's alpha / r), so that at gamma = 0 the
    network is the frozen one.
    """

    width_key: ClassVar[str | None] = "rank"
    W: Float[Tensor, "d_out d_in"]
    norm: Float[Tensor, " d_out"]

    def __init__(self, view: View, rng: torch.Generator, *, rank: Width, dropout: BelowOne) -> None:
        super().__init__()
        self.width = rank
        self.A = nn.Parameter(torch.empty(rank, view.num_in))
        self.B = nn.Parameter(torch.zeros(view.num_out, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5), generator=rng)
        norm = torch.linalg.vector_norm(view.rows(), dim=1).clamp_min(1e-18)  # also of a row of zeros
        self.m = nn.Parameter(norm.clone())
        self.register_buffer("W", view.rows(), persistent=False)
        self.register_buffer("norm", norm, persistent=False)
        self.dropout = dropout

    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """(s - 1) W x + s B A x, s = m / ||W + B A||: exactly 0 at the start."""
        B, A = self._first(now.width)
        s = self._stretch(B, A)
        read = dropout(read, self.dropout, now)
        frozen = F.linear(read, self.W)
        return (s - 1).to(frozen.dtype) * frozen + s.to(frozen.dtype) * F.linear(F.linear(read, A), B)

    def matrix(self, now: Now = EVAL) -> Float[Tensor, "d_out d_in"]:
        """(s - 1) W + s B A."""
        B, A = self._first(now.width)
        s = self._stretch(B, A).unsqueeze(-1)
        return (s - 1) * self.W + s * (B @ A)

    def used(self, width: int) -> dict[str, Tensor]:
        """The first ranks; every width has m whole."""
        B, A = self._first(width)
        return {"A": A, "B": B, "m": self.m}

    def _stretch(self, B: Tensor, A: Tensor) -> Float[Tensor, " d_out"]:
        """m / ||W + B A||, from ||W|| and what B A adds to its square: exactly 1 where B = 0 and m = ||W||.

        A norm of W that is taken again differs in its last bits between devices, and a root may too.
        """
        device = self.W.device.type if torch.amp.is_autocast_available(self.W.device.type) else "cpu"
        with torch.no_grad(), torch.autocast(device, enabled=False):
            added = (B * (2 * (self.W @ A.T) + B @ (A @ A.T))).sum(dim=1)
            square = 1 + added / self.norm.square()
            grown = square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()  # ||W + B A|| / ||W||
        return self.m / self.norm / grown

    def _first(self, b: int | None) -> tuple[Tensor, Tensor]:
        return (self.B, self.A) if b is None else (self.B[:, :b], self.A[:b])
