"""The pictures of one split of a source, decoded when first asked for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from peftlab.dataset.items import Contents
from peftlab.inputs.cache import Rows
from peftlab.inputs.image import InputSpec

MAX_KEPT_BYTES = 2**30
MAX_SHARED = 4

Pixels = (
    UInt8[Tensor, "b c h w"] | list[UInt8[Tensor, "c _ _"]]
)  # a picture, or the frames of a clip on its channels
Decode = Callable[[int], UInt8[np.ndarray, "_ _ 3"]]

_shared: dict[str, "Images"] = {}


class Images:
    """Pictures by row id; kept decoded while all have one size and together stay below 1 GiB.

    They are kept in memory, or in a file of the cache of this machine if `stored` says of what and how they were decoded.
    """

    noun = InputSpec.noun

    def __init__(
        self, decode: Decode, *, num_images: int, fingerprint: str, stored: str | None = None
    ) -> None:
        self.fingerprint = fingerprint
        self._key, self._rows = stored, None if stored is None else Rows.opened(stored, num_images, None)
        self._decode = decode
        self._num_images = num_images
        self._known = np.zeros(num_images, dtype=bool)
        self._kept: UInt8[np.ndarray, "n h w 3"] | None = None if self._rows is None else self._rows.pixels
        self._keepable = True
        self.contents: Contents | None = None
        self.is_hashed = True  # the fingerprint tells the content

    def __len__(self) -> int:
        return self._num_images

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None if self._rows is not None else self._kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        if self._rows is not None:
            self._kept = self._rows.pixels
        elif self._kept is None:  # the cache is gone where it is needed now
            self._known[:] = False

    def take(self, rows: Int64[np.ndarray, " b"]) -> Pixels:
        """The pictures `rows`: one tensor where all of the split have one size and are kept, else a list."""
        self.keep(rows)
        if self._kept is not None:
            return torch.from_numpy(self._kept[rows]).permute(0, 3, 1, 2)
        return [torch.from_numpy(self._decode(int(row))).permute(2, 0, 1) for row in rows]

    def keep(self, rows: Int64[np.ndarray, " b"]) -> None:
        """Decode those of `rows` that are not kept yet; does nothing where the pictures cannot be kept."""
        for row in rows[~self._known[rows]]:
            if not self._keepable:
                return
            if self._known[row]:  # a row can be named twice
                continue
            if self._rows is not None and self._rows.holds(int(row)):
                self._known[row] = True
            else:
                self._store(int(row), self._decode(int(row)))

    def _store(self, row: int, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        if self._kept is None and self._num_images * pixels.nbytes < MAX_KEPT_BYTES:
            self._make_room(pixels.shape)
        if self._kept is None or self._kept.shape[1:] != pixels.shape:
            self._kept, self._rows, self._keepable = None, None, False
            self._known[:] = False
            return
        if self._rows is not None and not self._rows.put(row, pixels):
            self._rows, self._key = None, None
            self._known[:] = False
            self._make_room(pixels.shape)
        if self._rows is None:
            self._kept[row] = pixels
        self._known[row] = True

    def _make_room(self, shape: tuple[int, ...]) -> None:
        self._rows = None if self._key is None else Rows.opened(self._key, self._num_images, shape)
        # Pages cost no memory until they are written: a long tail pays for its own images only.
        self._kept = (
            np.empty((self._num_images, *shape), np.uint8) if self._rows is None else self._rows.pixels
        )


def shared_images(decode: Decode, *, num_images: int, fingerprint: str, stored: str | None = None) -> Images:
    """The process's one `Images` of this content, so that the second job of a sweep decodes nothing again.

    A cache and nothing else: what it returns is a function of the fingerprint. Four are kept.
    """
    images = _shared.pop(fingerprint, None)
    if images is None or len(images) != num_images:
        images = Images(decode, num_images=num_images, fingerprint=fingerprint, stored=stored)
    _shared[fingerprint] = images
    while len(_shared) > MAX_SHARED:
        del _shared[next(iter(_shared))]
    return images
