"""peft=maple: learned tokens around the names of classes, and prompts of images that are made of them."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.option import Width
from peftlab.peft.context import STD, Context, checked_words
from peftlab.peft.delta import Delta, Gate, OnTokens, Scale, Sharing
from peftlab.peft.view import EVAL, Now, View


class Maple(Delta, Sharing):
    """P_j at the context of block j of the texts, and F_j(P_j), F_j affine, among the tokens that enter block j of the images.

    In the first block of the texts P_0 stands where tokens have no position yet, and begins as the words that are there; deeper
    ones begin as N(0, 0.02) and take the place of what came up. Before the first block of the images prompts pass the norm that
    all tokens pass, where there is one. gamma moves what stands there towards P_j, and multiplies F_j(P_j).

    Source: Khattak et al. 2023, arXiv:2210.03117, sections 3.2 to 3.4. F_j begins as torch's linear layers do.
    """

    width_key: ClassVar[str | None] = "num_tokens"
    is_identity: ClassVar[bool] = False
    per_token: ClassVar[bool] = False

    def __new__(
        cls,
        view: View,
        rng: torch.Generator,
        *,
        num_tokens: Width,
        words: str,
        place: Literal["end", "middle", "front"],
    ) -> "Maple":
        """The half that belongs to the site."""
        kind = {"context": MapleText, "tokens": MapleImage}[view.position] if cls is Maple else cls
        made: Maple = object.__new__(kind)  # type: ignore[arg-type]
        return made

    def __init__(
        self,
        view: View,
        rng: torch.Generator,
        *,
        num_tokens: Width,
        words: str,
        place: Literal["end", "middle", "front"],
    ) -> None:
        super().__init__()
        self.width, self.block = num_tokens, view.block
        assert isinstance(view.shared, Coupled)
        if view.block == 0 and view.position == "context":
            view.shared.begin(checked_words(view, num_tokens, words).vectors)
        self._coupled = (view.shared,)
        if (
            view.shared.is_free
        ):  # a module of one site alone: what stands for its values in a forward is put there once
            view.shared.is_free, self.shared = False, view.shared

    @property
    def coupled(self) -> "Coupled":
        """What all sites share."""
        return self._coupled[0]

    @staticmethod
    def share(views: Sequence[View], rng: torch.Generator, *, width: int) -> nn.Module:
        """P_j and F_j of all blocks.

        Raises:
            UserError: for a block of one tower without that of the other.
        """
        text, image = (
            {view.block: view.num_out for view in views if view.position == word}
            for word in ("context", "tokens")
        )
        if text.keys() != image.keys():
            alone = min(text.keys() ^ image.keys())
            raise UserError(
                f"peft=maple couples text.{alone} with image.{alone}, and one of them is not placed; legal: the same blocks of both towers,"
                " as peft.depth=0-4"
            )
        return Coupled(text, image, width, rng)


class Coupled(nn.Module):
    """What both towers share: P_j `[m, d_text]`, and F_j."""

    start: Tensor
    is_free = True

    def __init__(
        self, text: dict[int, int], image: dict[int, int], num_tokens: int, rng: torch.Generator
    ) -> None:
        super().__init__()
        self.P, self.W, self.b = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        for block, width in text.items():
            self.P[str(block)] = nn.Parameter(torch.randn(num_tokens, width, generator=rng) * STD)
            bound = width**-0.5
            for kept, shape in ((self.W, (image[block], width)), (self.b, (image[block],))):
                kept[str(block)] = nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=rng))
        self.register_buffer("start", torch.zeros(num_tokens, next(iter(text.values()))), persistent=False)

    def begin(self, words: Float[Tensor, "m d"]) -> None:
        """At these words, from which P_0 is counted."""
        self.start.copy_(words)
        nn.init.zeros_(self.P["0"])

    def vectors(self, block: int) -> Float[Tensor, "m d"]:
        """P_j."""
        own: Tensor = self.P[str(block)]
        return own + self.start if block == 0 else own

    def prompts(self, block: int) -> Float[Tensor, "m d"]:
        """F_j(P_j)."""
        return nn.functional.linear(self.vectors(block), self.W[str(block)], self.b[str(block)])


class MapleText(Maple, Context):
    """P_j less what stands there."""

    def vectors(self) -> list[nn.Parameter]:
        """P_j."""
        own: nn.Parameter = self.coupled.P[str(self.block)]
        return [own]

    def forward(self, read: Float[Tensor, "n t d"], now: Now = EVAL) -> Float[Tensor, "n t d"]:
        """At the context."""
        if self.block == 0:
            return self.placed(self.coupled.P["0"], now)
        assert now.context is not None
        index = now.context.positions.unsqueeze(-1).expand(-1, -1, read.shape[-1])
        return self.placed(self.coupled.vectors(self.block) - read.gather(1, index), now)


class MapleImage(Maple, OnTokens):
    """F_j(P_j) as prompts, behind the norm of the first block's input."""

    def __init__(self, view: View, rng: torch.Generator, **options: Any) -> None:
        super().__init__(view, rng, **options)
        self._norm = (view.entry,)  # of the backbone, no module of its own

    def forward(
        self,
        entered: Float[Tensor, "b p d"] | None,
        left: Float[Tensor, "b p d"] | None,
        gamma: Scale | None,
        gate: Gate | None,
        now: Now = EVAL,
    ) -> Float[Tensor, "*b q d"]:
        """F_j(P_j), whatever came before."""
        prompts = self.coupled.prompts(self.block)
        if self.block == 0 and self._norm[0] is not None:
            prompts = self._norm[0](prompts)
        prompts = prompts if gamma is None else prompts * gamma
        return prompts if gate is None else prompts * gate
