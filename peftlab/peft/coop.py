"""peft=coop: the tokens around the name of a class are learned."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from peftlab.option import Width
from peftlab.peft.context import Learned
from peftlab.peft.view import EVAL, Now, View


class Coop(Learned):
    """v_1 ... v_M, one sequence for all classes, or with `class_specific` one for each; `place` is that of the class name.

    Source: Zhou et al. 2022, arXiv:2109.01134; the 16 random vectors, or "a photo of a", of its code.
    """

    is_identity: ClassVar[bool] = False  # with words it is

    def __init__(
        self,
        view: View,
        rng: torch.Generator,
        *,
        num_tokens: Width,
        words: str | None,
        place: Literal["end", "middle", "front"],
        class_specific: bool,
    ) -> None:
        num_classes = view.words.num_classes if class_specific and view.words is not None else None
        super().__init__(view, rng, num_tokens, words, num_classes)

    def forward(self, read: Float[Tensor, "n t d"], now: Now = EVAL) -> Float[Tensor, "n t d"]:
        """delta at the context."""
        return self.placed(self.delta, now)
