"""peft=vpt_shallow, vpt_deep, soft_prompt: trained tokens."""

import math
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.option import BelowOne, PositiveFloat, Range, Width
from peftlab.peft.delta import Elastic, Gate, OnTokens, Scale
from peftlab.peft.dropout import dropout
from peftlab.peft.view import EVAL, Now, View


class Prompt(OnTokens, Elastic):
    """P in R^{num_tokens x d} joins the tokens behind CLS and the registers, after the position embedding.

    At the first of its sites the prompts join; they travel through the blocks until the next site replaces them, and leave
    after the last block, before norm and pooling. So depth 0 is VPT-shallow, and depth all is VPT-deep. Without
    `travels` they leave behind their own block, so that a block without a site has no prompts (NOAH). Where they
    stand among the tokens makes no difference to a transformer, since they have no position. gamma and the gate
    multiply P. P starts uniform in +-bound; bound null is VPT's sqrt(6 / (3 patch_size^2 + d)).

    Source: Jia et al. 2022 (VPT), arXiv:2203.12119; Lester et al. 2021, arXiv:2104.08691 (soft prompts, bound 0.5).
    """

    width_key: ClassVar[str | None] = "num_tokens"
    is_identity: ClassVar[bool] = False

    def __init__(
        self,
        view: View,
        rng: torch.Generator,
        *,
        num_tokens: Width,
        bound: PositiveFloat | None,
        patch_size: Annotated[int, Range(1, 1024)],
        dropout: BelowOne,
        travels: bool,
    ) -> None:
        super().__init__()
        self.width, self.travels, num_in = num_tokens, travels, view.num_in
        v = math.sqrt(6 / (3 * patch_size**2 + num_in)) if bound is None else bound
        self.P = nn.Parameter(torch.empty(num_tokens, num_in).uniform_(-v, v, generator=rng))
        self.dropout = dropout

    def forward(
        self,
        entered: Float[Tensor, "b p d"] | None,
        left: Float[Tensor, "b p d"] | None,
        gamma: Scale | None,
        gate: Gate | None,
        now: Now = EVAL,
    ) -> Float[Tensor, "*b q d"]:
        """P, whatever came before."""
        prompts = self._first(now.width)
        prompts = prompts if gamma is None else prompts * gamma
        prompts = prompts if gate is None else prompts * gate
        if now.drops(self.dropout):  # every item has a mask of its own, as published
            prompts = prompts.expand(now.num_items, *prompts.shape[-2:])
        return dropout(prompts, self.dropout, now)

    def used(self, width: int) -> dict[str, Tensor]:
        """The first prompts."""
        return {"P": self._first(width)}

    def _first(self, num: int | None) -> Tensor:
        return self.P if num is None else self.P[:num]
