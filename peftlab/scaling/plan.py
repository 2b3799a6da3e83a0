"""When gamma is learned, and on what: the options of the outer loop, without torch."""

from dataclasses import dataclass
from typing import Annotated

from peftlab.option import LearningRate, NonNegativeInt, PositiveInt, Range, Share


@dataclass(frozen=True)
class OuterPlan:
    """An outer step every `every` inner steps after `warmup`, on batches of `batch_size` from `fraction` of the training set.

    A new part of it is drawn every `resample` inner steps, or one for good that is not trained on (`hold_out`); with
    `stratified` it has at least one item of every class. `lr` is that of gamma's Adam. With
    `dropout` false the outer loss is taken without dropout, as in the published code; the inner losses keep it.
    """

    every: PositiveInt
    warmup: NonNegativeInt
    lr: LearningRate
    batch_size: Annotated[int, Range(1, 65_536)]
    fraction: Share
    stratified: bool
    resample: PositiveInt
    hold_out: bool
    dropout: bool

    def due(self, step: int) -> bool:
        """Whether an outer step follows inner step `step` (1 is the first)."""
        return step > self.warmup and step % self.every == 0

    def draw(self, step: int) -> int:
        """Which drawn split the outer step after inner step `step` takes."""
        return 0 if self.hold_out else (step - 1) // self.resample
