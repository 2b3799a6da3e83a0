"""peft=cocoop: the learned tokens around the name of a class, moved by what is seen."""

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from peftlab.option import Width
from peftlab.peft.context import Learned
from peftlab.peft.view import EVAL, Now, View


class Cocoop(Learned):
    """v_m(x) = v_m + W_2 relu(W_1 x + b_1) + b_2 for the vector x of an image, of length 1; so each image has texts of its own.

    W and b start as torch's linear layers do, as published: it is not the identity at the start.

    Source: Zhou et al. 2022 (CoCoOp), arXiv:2203.05557, section 3.2; a hidden width of a 16th of x.
    """

    is_identity: ClassVar[bool] = False

    def __init__(
        self,
        view: View,
        rng: torch.Generator,
        *,
        num_tokens: Width,
        words: str | None,
        place: Literal["end", "middle", "front"],
        bottleneck: Width | None,
    ) -> None:
        super().__init__(view, rng, num_tokens, words, None)
        hidden = max(view.num_in // 16, 1) if bottleneck is None else bottleneck
        self.down, self.down_bias = _linear(view.num_in, hidden, rng)
        self.up, self.up_bias = _linear(hidden, view.num_out, rng)

    def forward(self, read: Float[Tensor, "b d_in"], now: Now = EVAL) -> Float[Tensor, "n t d"]:
        """delta + pi(x) at the context of the texts of each image."""
        moved = F.linear(F.relu(F.linear(read, self.down, self.down_bias)), self.up, self.up_bias)
        vectors = self.delta + moved.unsqueeze(1)
        assert now.context is not None
        times = len(now.context.positions) // len(vectors)
        return self.placed(vectors.repeat_interleave(times, 0), now)


def _linear(num_in: int, num_out: int, rng: torch.Generator) -> tuple[nn.Parameter, nn.Parameter]:
    bound = 1 / math.sqrt(num_in)
    weight, bias = torch.empty(num_out, num_in), torch.empty(num_out)
    return tuple(nn.Parameter(value.uniform_(-bound, bound, generator=rng)) for value in (weight, bias))  # type: ignore[return-value]
