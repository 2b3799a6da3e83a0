"""The pictures of one split of a source, decoded when first asked for."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from peftlab.dataset.items import Contents

MAX_KEPT_BYTES = 2**30
MAX_SHARED = 4

Pixels = UInt8[Tensor, "b 3 h w"] | list[UInt8[Tensor, "3 _ _"]]
Decode = Callable[[int], UInt8[np.ndarray, "_ _ 3"]]

_shared: dict[str, "Images"] = {}


class Images:
    """Pictures by row id; kept decoded in memory while all have one size and together stay below 1 GiB."""

    def __init__(self, decode: Decode, *, num_images: int, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._decode = decode
        self._num_images = num_images
        self._known = np.zeros(num_images, dtype=bool)
        self._kept: UInt8[np.ndarray, "n h w 3"] | None = None
        self._keepable = True
        self.contents: Contents | None = None

    def __len__(self) -> int:
        return self._num_images

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
            if not self._known[row]:  # a row can be named twice
                self._store(int(row), self._decode(int(row)))

    def _store(self, row: int, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        if self._kept is None and self._num_images * pixels.nbytes < MAX_KEPT_BYTES:
            # Pages cost no memory until they are written: a long tail pays for its own images only.
            self._kept = np.empty((self._num_images, *pixels.shape), dtype=np.uint8)
        if self._kept is None or self._kept.shape[1:] != pixels.shape:
            self._kept, self._keepable = None, False
            self._known[:] = False
            return
        self._kept[row] = pixels
        self._known[row] = True


def shared_images(decode: Decode, *, num_images: int, fingerprint: str) -> Images:
    """The process's one `Images` of this content, so that the second job of a sweep decodes nothing again.

    A cache and nothing else: what it returns is a function of the fingerprint. Four are kept.
    """
    images = _shared.pop(fingerprint, None)
    if images is None or len(images) != num_images:
        images = Images(decode, num_images=num_images, fingerprint=fingerprint)
    _shared[fingerprint] = images
    while len(_shared) > MAX_SHARED:
        del _shared[next(iter(_shared))]
    return images
