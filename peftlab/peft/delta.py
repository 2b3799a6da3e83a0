"""The interface of every method that adds modules: what a site computes, in the three ways that it can act, and the
traits that only some forms have."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.peft.view import EVAL, Now, View

Heads = Float[Tensor, "b h n d"]
Gate = Float[Tensor, "b 1 1"]
Scale = Float[Tensor, ""] | Float[Tensor, " d"]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # softmax(q k^T / sqrt d + mask) v of the backbone


class Delta(nn.Module, ABC):
    """write <- write + gamma * delta(read). A form is built from a view of its site, a random stream and its options.

    width: rank, bottleneck or number of vectors, for the rules over_rank and over_sqrt_rank; `width_key` is the option
    that sets it.

    Source: He et al. 2022, arXiv:2110.04366, table 1 (the functional form).
    """

    width: int
    width_key: ClassVar[str | None] = None
    is_identity: ClassVar[bool] = True  # delta(read) = 0 at the start
    per_token: ClassVar[bool] = True  # whether a gate of its own for every token has a meaning
    is_gate: ClassVar[bool] = False  # its parameters are gates or temperatures, which decay as gates do


class Additive(Delta):
    """A delta that is added to what a module takes or gives."""

    @abstractmethod
    def forward(self, read: Float[Tensor, "*b d_in"], now: Now = EVAL) -> Float[Tensor, "*b d_out"]:
        """The delta, without gamma."""


class Temporal(Additive):
    """An additive delta of clips: it sees the tokens of all frames of an item at once."""

    @abstractmethod
    def forward(self, read: Float[Tensor, "b t n d_in"], now: Now = EVAL) -> Float[Tensor, "b t n d_out"]:
        """The delta, without gamma; of a picture, of one frame."""


class OnHeads(Delta):
    """A delta that acts on the output of the attention product, head by head. Several heads of q may share one of k and v."""

    @abstractmethod
    def forward(
        self,
        attend: Attend,
        q: Heads,
        k: Float[Tensor, "b g m d"],
        v: Float[Tensor, "b g m d"],
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
        now: Now = EVAL,
    ) -> Float[Tensor, "*b q d"]:
        """The prompts for this block. `entered` are those that entered the block below, `left` what came out of it."""

    def num_prompts(self, num_before: int) -> int:
        """How many prompts enter this block if `num_before` leave the one below.

        Raises:
            ValueError: with the reason, if this form cannot stand here.
        """
        return self.width


class Elastic(ABC):
    """A trait: `Now.width` can be less than the width, so that one delta holds all narrower ones."""

    @abstractmethod
    def used(self, width: int) -> dict[str, Tensor]:
        """The parameters at work at this width: those of a delta of that width that computes the same."""


class Nested(ABC):
    """A trait: one training serves every width from 1 to the largest."""

    @abstractmethod
    def sample(self, u: float) -> int:
        """The width of a training step, from a number in [0, 1) that the whole network shares."""


class Reparametrised(ABC):
    """A trait: after training, a site is built with the options `after_training` and has the parameters `finished`."""

    after_training: ClassVar[dict[str, Any]]

    @abstractmethod
    def finished(self) -> dict[str, Tensor]:
        """What is saved, under the names of the parameters of a site built with `after_training`."""


class LowRank(ABC):
    """A trait: delta(read) = B A read, so that it can be merged into the weight that it stands beside."""

    @abstractmethod
    def factors(self, now: Now = EVAL) -> tuple[Float[Tensor, "d_out r"], Float[Tensor, "r d_in"]] | None:
        """(B, A), or None while something stands between them (dropout)."""


class Dense(ABC):
    """A trait: delta(read) = M read with no thin factors, so that it can be folded into the weight that it stands beside."""

    @abstractmethod
    def matrix(self, now: Now = EVAL) -> Float[Tensor, "d_out d_in"]:
        """M, without dropout."""


class Diagonal(ABC):
    """A trait: delta(read) = s * read + t, so that it can be folded into a weight and its bias."""

    @abstractmethod
    def diagonal(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"] | None]:
        """(s, t)."""


class OfWeight:
    """A trait: it is made from the weight of the linear layer that it stands beside (`View.weight`), so it is `parallel`."""


class Sharing(ABC):
    """A trait: all sites of a part use one module."""

    @staticmethod
    @abstractmethod
    def share(views: Sequence[View], rng: torch.Generator, *, width: int) -> nn.Module:
        """The module of sites with these views, the widest of which has `width`; it is `View.shared` of each of them."""
