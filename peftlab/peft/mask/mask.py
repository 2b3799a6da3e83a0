"""What the methods that train single entries of weights, or groups of them, have in common."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from peftlab.option import PositiveInt, Range
from peftlab.peft.mask.gradient_score import Score, gradient_score
from peftlab.peft.mask.mask_size import mask_size
from peftlab.peft.mask.top_groups import Sliced, group_sizes, top_groups
from peftlab.peft.mask.top_k import top_k
from peftlab.peft.selection import Selection
from peftlab.peft.weights import Chosen, Weight, Weights


@dataclass(frozen=True, kw_only=True)
class Mask(Selection):
    """Single entries, `keep_ratio` of all weights of the backbone; with `count_head` the head's are part of that budget."""

    width_key: ClassVar[str | None] = "keep_ratio"
    keep_ratio: Annotated[float | int, Range(0, 1, "(]")]
    count_head: bool

    def candidates(self, weights: Weights) -> list[Weight]:
        """The weights that can have chosen entries."""
        return weights.candidates(False)

    def size(self, weights: Weights, available: int, smallest: int = 1) -> int:
        """How many entries it has; see `mask_size`."""
        ratio, count_head = self.keep_ratio, self.count_head
        return mask_size(weights, available, smallest, keep_ratio=ratio, count_head=count_head)


@dataclass(frozen=True, kw_only=True)
class Entries(Mask):
    """The entries of largest score of all placed weights together; with `outside_blocks` also of those outside the blocks."""

    outside_blocks: bool

    @abstractmethod
    def scores(self, weights: Weights, candidates: list[Weight]) -> list[Tensor]:
        """A number for every entry of every candidate."""

    def candidates(self, weights: Weights) -> list[Weight]:
        """The weights that can have chosen entries."""
        return weights.candidates(self.outside_blocks)

    def choose(self, weights: Weights) -> Chosen:
        """The best entries.

        Raises:
            UserError: for a budget that nothing fits, or gradients that are all 0.
        """
        candidates = self.candidates(weights)
        k = self.size(weights, sum(weight.value.numel() for weight in candidates))
        return top_k(candidates, self.scores(weights, candidates), k)


@dataclass(frozen=True, kw_only=True)
class Groups(Mask):
    """Whole groups of entries that belong together, by the mean of sum_n g_n^2 (or |g_n|) over each.

    Source: the scores of Sung et al. 2021, arXiv:2111.09839. Differs: tied within a group, which is a design of our own.
    """

    num_samples: PositiveInt
    score: Score

    @abstractmethod
    def slices(self, weights: Weights) -> list[Sliced]:
        """The weights, each cut into its groups."""

    def choose(self, weights: Weights) -> Chosen:
        """The groups of best score that `keep_ratio` has room for.

        Raises:
            UserError: for a budget that no group fits, or gradients that are all 0.
        """
        slices = self.slices(weights)
        smallest = min(group_sizes(slices).values(), default=1)
        k = self.size(weights, sum(part.weight.value.numel() for part in slices), smallest)
        members = [part.weight for part in slices]
        return top_groups(slices, gradient_score(members, weights.gradients(self.num_samples), self.score), k)
