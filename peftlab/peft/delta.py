"""The interface of every method that adds modules: what a site computes, in the three ways that it can act."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

Heads = Float[Tensor, "b h n d"]
Gate = Float[Tensor, "b 1 1"]
Scale = Float[Tensor, ""] | Float[Tensor, " d"]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # softmax(q k^T / sqrt d + mask) v of the backbone


class Delta(nn.Module, ABC):
    """write <- write + gamma * delta(read).

    width: rank, bottleneck or number of vectors, for the rules over_rank and over_sqrt_rank; `width_key` is the
    option that sets it, `after_training` the options that a finished site is built with.
    active: how much of an elastic delta's width works now, its first so many ranks, hidden units or prompts; null is all
    of it, 0 switches the site off, which is then as if it were not there.

    Source: He et al. 2022, arXiv:2110.04366, table 1 (the functional form).
    """

    width: int
    width_key: ClassVar[str | None] = None
    is_identity: ClassVar[bool] = True  # delta(read) = 0 at the start
    is_nested: ClassVar[bool] = False  # one training serves every width from 1 to `width`
    is_elastic: ClassVar[bool] = False  # `active` can be less than `width`
    per_token: ClassVar[bool] = True  # whether a gate of its own for every token has a meaning
    active: int | None = None
    after_training: ClassVar[dict[str, Any]] = {}

    def draw(self, common: float, own: float) -> None:
        """Choose what this training step trains, from two numbers in [0, 1): one of the whole network, one of this site."""

    def at(self, width: int) -> None:
        """Work at this width outside training, for the methods that were trained at every width (`is_nested`)."""

    def used(self) -> dict[str, Tensor]:
        """The parameters at work now: those of a delta of width `active` that computes the same."""
        return dict(self.named_parameters())

    def finished(self) -> dict[str, Tensor]:
        """What is saved after training, under the names of the parameters of a site built with `after_training`."""
        return dict(self.named_parameters())


class Additive(Delta):
    """A delta that is added to what a module takes or gives."""

    @abstractmethod
    def forward(self, read: Float[Tensor, "*b d_in"]) -> Float[Tensor, "*b d_out"]:
        """The delta, without gamma."""

    def factors(self) -> tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]] | None:
        """(B, A) if delta(read) = B A read now, so that a site may merge it into its weight; else None."""
        return None

    def diagonal(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"] | None] | None:
        """(s, t) if delta(read) = s * read + t, so that it can be folded into a weight and its bias; else None."""
        return None


class OnHeads(Delta):
    """A delta that acts on the output of the attention product, head by head."""

    @abstractmethod
    def forward(
        self,
        attend: Attend,
        q: Heads,
        k: Float[Tensor, "b h m d"],
        v: Float[Tensor, "b h m d"],
        gamma: Float[Tensor, ""] | Float[Tensor, "h 1 d"] | None,
        gate: Float[Tensor, "b 1 1 1"] | Float[Tensor, "b 1 n 1"] | None,
    ) -> Heads:
        """The heads' output; gamma None is 1, and gate None is none."""


class OnTokens(Delta):
    """A delta that puts prompts among the tokens that enter a block; if it does not `travel`, they leave behind it."""

    per_token = False
    travels: bool = True

    @abstractmethod
    def forward(
        self,
        entered: Float[Tensor, "b p d"] | None,
        left: Float[Tensor, "b p d"] | None,
        gamma: Scale | None,
        gate: Gate | None,
    ) -> Float[Tensor, "*b q d"]:
        """The prompts for this block. `entered` are those that entered the block below, `left` what came out of it."""

    def num_prompts(self, num_before: int) -> int:
        """How many prompts enter this block if `num_before` leave the one below.

        Raises:
            ValueError: with the reason, if this form cannot stand here.
        """
        return self.width
