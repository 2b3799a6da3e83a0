"""Test pictures that are worse than those of training: noise, blur or little contrast, in five steps."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from peftlab.dataset.image.images import Pixels
from peftlab.dataset.items import Items
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.stream import generator

Kind = Literal["noise", "blur", "contrast"]
# by severity from 1: the standard deviation of the noise, of white 1; that of the blur, in pixels where the shorter side has 224;
# the share of the contrast that stays
STRENGTHS: dict[Kind, tuple[float, ...]] = {
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "blur": (1, 2, 3, 4, 6),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
}
SIDE, TRUNCATE = (
    224,
    4,
)  # of the blur: pixels of the shorter side; standard deviations at which its kernel ends
SEED = 0  # one noise for all runs


def shifted(image: UInt8[Tensor, "3 h w"], row: int, *, kind: Kind, severity: int) -> UInt8[Tensor, "3 h w"]:
    """One stored picture, worse: the same one for the same row, kind and severity.

    noise: x + s * e with e of the row, the same at every severity. blur: a Gaussian over both sides, the edge repeated. contrast:
    m + c * (x - m) with m the mean of each channel. Then cut to [0, 1] and rounded to 8 bits.

    Source: Hendrycks and Dietterich 2019, arXiv:1903.12261 (gaussian_noise, gaussian_blur, contrast), and its make_imagenet_c.py.
    Differs: there of crops of 224 pixels, here of the stored picture, with the blur in proportion to its shorter side.
    """
    strength = STRENGTHS[kind][severity - 1]
    pixels = image.contiguous().to(torch.float32) / 255  # the order of sums, whatever way the picture is kept
    if kind == "noise":
        noise = torch.randn(pixels.shape, generator=generator(SEED, "shift", row))
        worse = pixels + strength * noise
    elif kind == "blur":
        worse = _blurred(pixels, strength * min(pixels.shape[1:]) / SIDE)
    else:
        mean = pixels.mean((1, 2), keepdim=True)
        worse = mean + strength * (pixels - mean)
    return worse.clamp(0, 1).mul(255).round().to(torch.uint8)


def _blurred(pixels: Float[Tensor, "3 h w"], sigma: float) -> Float[Tensor, "3 h w"]:
    height, width = pixels.shape[1:]
    return _blur(height, sigma) @ pixels @ _blur(width, sigma).T


@lru_cache(maxsize=2)
def _blur(length: int, sigma: float) -> Float[Tensor, "n n"]:
    """What each pixel of a line takes of every pixel: as a product ten times as fast as a convolution with so wide a kernel."""
    radius = int(TRUNCATE * sigma + 0.5)
    steps = torch.arange(-radius, radius + 1)
    weights = torch.exp(-(steps**2) / (2 * sigma**2))
    places = (torch.arange(length)[:, None] + steps).clamp(0, length - 1)
    shares = (weights / weights.sum()).expand(length, -1)
    return torch.zeros(length, length).scatter_add_(1, places, shares)


class ShiftedImages:
    """The pictures of `items`, each one `shifted`."""

    def __init__(self, items: Items, kind: Kind, severity: int) -> None:
        self._items, self._shifted = items, partial(shifted, kind=kind, severity=severity)
        self.noun = items.noun
        self.fingerprint = f"{items.fingerprint} {kind} {severity}"
        self.is_hashed = bool(getattr(items, "is_hashed", False))  # the fingerprint tells the content

    def take(self, rows: Int64[np.ndarray, " b"]) -> Pixels:
        """The pictures `rows`, worse, in the form that they are kept in."""
        taken: Pixels = self._items.take(rows)
        worse = [self._shifted(image, row) for image, row in zip(taken, rows.tolist(), strict=True)]
        return torch.stack(worse) if isinstance(taken, Tensor) and worse else worse

    def keep(self, rows: Int64[np.ndarray, " b"]) -> None:
        """As the pictures are kept: before anything is done to them."""
        self._items.keep(rows)


def with_shift(source: Source, kind: Kind | None, severity: int) -> Source:
    """The same data with worse test pictures; what `test_contents` compare are those that are stored."""
    if kind is None:
        return source
    return replace(source, open_test=partial(_opened, source.open_test, kind, severity))


def _opened(open_test: Callable[[], Split], kind: Kind, severity: int) -> Split:
    split = open_test()
    return replace(split, items=ShiftedImages(split.items, kind, severity))
