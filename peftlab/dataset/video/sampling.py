"""Which frames of a video are a clip."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from peftlab.dataset.rules import check_stride

How = Literal["uniform", "dense"]


@dataclass(frozen=True)
class Sampling:
    """`uniform`: one frame of each of `frames` equal parts of the video. `dense`: frames that lie `stride` apart.

    In training the place in each part, or the first frame, is drawn; of a video that is too short frames come again
    (uniform), or its last one does (dense).

    Raises:
        UserError: for a stride without dense, or dense without one.

    Source: Wang et al. 2016 (TSN), arXiv:1608.00859, section 3.1 (uniform); Carreira and Zisserman 2017, arXiv:1705.07750 (dense).
    """

    frames: int
    how: How
    stride: int | None

    def __post_init__(self) -> None:
        check_stride(self.how, self.stride)

    def drawn(self, length: int, rng: torch.Generator) -> list[int]:
        """The frames of one clip in training, of a video of `length` frames."""
        if self.how == "uniform":
            return self._uniform(length, torch.rand(self.frames, generator=rng).numpy())
        return self._dense(length, torch.rand((), generator=rng).item())

    def spread(self, length: int, count: int) -> list[list[int]]:
        """The frames of `count` clips that are spread evenly over the video; of one they lie in the middle of the parts."""
        places = [(number + 0.5) / count for number in range(count)]
        if self.how == "uniform":
            return [self._uniform(length, np.full(self.frames, place)) for place in places]
        ends = np.linspace(0, 1, count) if count > 1 else places
        return [self._dense(length, float(place)) for place in ends]

    def _uniform(self, length: int, places: np.ndarray) -> list[int]:
        numbers = (np.arange(self.frames) + places) * (length / self.frames)
        found: list[int] = np.minimum(numbers.astype(np.int64), length - 1).tolist()
        return found

    def _dense(self, length: int, place: float) -> list[int]:
        assert self.stride is not None
        room = max(length - 1 - (self.frames - 1) * self.stride, 0)
        start = min(int(place * (room + 1)), room)
        found: list[int] = np.minimum(start + np.arange(self.frames) * self.stride, length - 1).tolist()
        return found

    @property
    def text(self) -> str:
        """One line for people."""
        apart = "" if self.stride is None else f", stride={self.stride}"
        return f"{self.how}(frames={self.frames}{apart})"
