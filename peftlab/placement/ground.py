"""What a placement chooses from, and what it gives back: values both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from peftlab.site import Site

# {"rank": 8, "scale": 2.0} at a site; an empty dict takes the method's own options
Cells = dict[Site, dict[str, Any]]


@runtime_checkable
class Scorer(Protocol):
    """What can be measured of the frozen network on training data, site by site; see peftlab.build.scorer."""

    def squared_gradients(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """sum over batches of sum_w (dL_batch / dw)^2."""

    def mean_gradient_norms(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """The norm of the mean gradient."""

    def energies(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, tuple[float, float]]:
        """The mean squares of what a site reads and writes."""

    def feature_norms(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """The mean normalised feature norm."""

    def condition_numbers(self, sites: Sequence[Site]) -> dict[Site, float]:
        """sigma_max / sigma_min of the frozen weights."""

    def residual_norms(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """How much of what the loss wants of a site a linear map of its input can give."""

    def left_over(self, sites: Sequence[Site], num: int, size: int) -> dict[Site, float]:
        """What the loss still wants of the logits when each site is taken, one after the other."""

    def num_weights(self, site: Site) -> int:
        """How many frozen weights a site is scored by."""


@dataclass(frozen=True)
class Ground:
    """`labels`: the blocks from the bottom; `positions`: those that the method and the backbone have; `candidates`: the
    sites that a part of the method can take, in their order. `scorer` is None before there is a network: a placement
    that asks it then names all that it would choose from. `tower` is where sites may be, of two.
    """

    labels: Sequence[str]
    positions: Sequence[str]
    candidates: Sequence[Site]
    scorer: Scorer | None = None
    tower: str = "both"


@dataclass(frozen=True)
class Placement:
    """The chosen sites with the options of each, and what every candidate was worth, the best first, if the rule scores them.

    `is_open`: the rule needs a scorer, there is none yet, and these are the sites that it will choose from.
    """

    cells: Cells
    scores: dict[Site, float] = field(default_factory=dict)
    is_open: bool = False
