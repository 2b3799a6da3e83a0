"""What the forms share that learn the tokens around the name of a class (coop, cocoop, maple)."""

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.peft.delta import Additive
from peftlab.peft.view import Now, View, Words

STD = 0.02  # of vectors that start at random


class Context(Additive):
    """v = e + delta at the M tokens of the context, e being the embeddings of the words that stand there.

    Source: Zhou et al. 2022 (CoOp), arXiv:2109.01134, section 3.2.
    """

    per_token: ClassVar[bool] = False

    @abstractmethod
    def vectors(self) -> list[nn.Parameter]:
        """What is trained of v."""

    def placed(self, vectors: Float[Tensor, "*n m d"], now: Now) -> Float[Tensor, "n t d"]:
        """These vectors at the tokens of the context of each text, and 0 elsewhere."""
        assert now.context is not None
        positions = now.context.positions
        size = (*positions.shape, vectors.shape[-1])
        whole = vectors.new_zeros(size[0], now.context.length, size[2])
        return whole.scatter(1, positions.unsqueeze(-1).expand(size), vectors.expand(size))


class Learned(Context):
    """delta is one sequence of M vectors, or one for each class.

    With `words` it starts at 0, so that the text is the one that is written; without, placeholders stand there, and v starts as
    N(0, 0.02). Published are v themselves: the same but for weight decay, which draws v to e here, and to 0 there. gamma scales
    delta: at 0 the text is the one that is written.
    """

    width_key: ClassVar[str | None] = "num_tokens"

    def __init__(
        self, view: View, rng: torch.Generator, num_tokens: int, words: str | None, num_classes: int | None
    ) -> None:
        super().__init__()
        found = checked_words(view, num_tokens, words)
        shape = (num_tokens, view.num_out) if num_classes is None else (num_classes, num_tokens, view.num_out)
        self.width = num_tokens
        value = torch.zeros(shape)
        if words is None:
            value = torch.randn(shape, generator=rng) * STD - found.vectors
        self.delta = nn.Parameter(value)

    def vectors(self) -> list[nn.Parameter]:
        """delta."""
        return [self.delta]


def checked_words(view: View, num_tokens: int, words: str | None) -> Words:
    """What stands at the context.

    Raises:
        UserError: if nothing does, or not so many tokens.
    """
    if view.words is None:
        raise UserError(
            "peft: its form learns the tokens around the name of a class; legal: task=contrast, with a backbone of two towers, as"
            " backbone=duo"
        )
    given = len(view.words.vectors)
    if given != num_tokens:
        raise UserError(
            f"peft.num_tokens={num_tokens}, but peft.words={words} are {given} tokens; legal: num_tokens={given}"
        )
    return view.words
