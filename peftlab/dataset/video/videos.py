"""The videos of one split of a source; a frame is decoded when a clip has it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from peftlab.dataset.items import Contents
from peftlab.inputs.clip import CLIPS


class Video(NamedTuple):
    """`read(numbers)` gives the frames of these numbers, 0 to `num_frames` - 1, all of one size."""

    num_frames: int
    read: Callable[[Sequence[int]], UInt8[np.ndarray, "t h w 3"]]


class Videos:
    """Videos by row id; `opened(row)` makes one."""

    noun = CLIPS

    def __init__(self, opened: Callable[[int], Video], *, fingerprint: str, contents: Contents) -> None:
        self.fingerprint = fingerprint
        self.contents = contents
        self.is_hashed = True  # the fingerprint tells the content
        self._opened = opened

    def take(self, rows: Int64[np.ndarray, " b"]) -> list[Video]:
        """The videos `rows`."""
        return [self._opened(int(row)) for row in rows]

    def keep(self, rows: Int64[np.ndarray, " b"]) -> None:
        """Nothing: which frames a clip has is drawn anew each time."""
