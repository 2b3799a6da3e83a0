"""How much a block changes the prompts that travel through it, a part of peft=gated_prompt."""

from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.option import Range
from peftlab.peft.delta import Gate, OnTokens, Scale
from peftlab.peft.view import EVAL, Now, View


class PromptGate(OnTokens):
    """Z <- g Z_left + (1 - g) Z_entered, g = sigmoid(raw): a convex mix of the prompts after and before the block below.

    g = 1 is VPT-shallow. raw starts at `init`, so that with -10 the blocks at first leave the prompts untouched. It adds
    nothing that gamma could multiply (`scale: null`).

    Source: Yoo et al. 2023, arXiv:2306.05067, section 4.1, eq. 7.
    """

    is_gate: ClassVar[bool] = True

    def __init__(
        self, view: View, rng: torch.Generator, *, init: Annotated[float | int, Range(-100, 100)]
    ) -> None:
        super().__init__()
        self.width = 1
        self.raw = nn.Parameter(torch.tensor(float(init)))

    def num_prompts(self, num_before: int) -> int:
        """As many as before."""
        if not num_before:
            raise ValueError("no prompts come from the block below")
        return num_before

    def forward(
        self,
        entered: Float[Tensor, "b p d"] | None,
        left: Float[Tensor, "b p d"] | None,
        gamma: Scale | None,
        gate: Gate | None,
        now: Now = EVAL,
    ) -> Float[Tensor, "*b q d"]:
        """The mix."""
        assert entered is not None
        assert left is not None
        g = torch.sigmoid(self.raw).to(left)
        return g * left + (1 - g) * entered
