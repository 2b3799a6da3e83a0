"""Geometry: 8-bit pictures of any size in, 8-bit squares of the backbone's size out."""

import hashlib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from peftlab.dataset.image.images import Pixels
from peftlab.inputs.unused import without_unused
from peftlab.stream import generator

with without_unused():
    from torchvision.transforms.v2.functional import (
        InterpolationMode,
        center_crop,
        five_crop,
        resize,
        ten_crop,
    )

NUM_ATTEMPTS = 10
ASPECT = (3 / 4, 4 / 3)
SCALE = (0.08, 1.0)  # of the area, torchvision's own


def centre_crop(
    images: Pixels, generators: Iterable[torch.Generator], *, size: int, interpolation: str, crop_pct: float
) -> UInt8[Tensor, "b c {size} {size}"]:
    """Shorter side to int(size / crop_pct), then the central size x size. Draws nothing.

    A picture whose longer side is at most `size` is resized straight to `size`: it has no border to spare.
    """
    if isinstance(images, Tensor):
        return _centre(images, size, interpolation, crop_pct)
    return torch.cat([_centre(image[None], size, interpolation, crop_pct) for image in images])


def view_crops(
    images: Pixels,
    generators: Iterable[torch.Generator],
    *,
    size: int,
    interpolation: str,
    expand: int,
    mirrored: bool,
) -> UInt8[Tensor, "b v c {size} {size}"]:
    """Shorter side to size + expand, then the four corners and the centre, and with `mirrored` these of the mirrored picture.

    Source: the test-time ensembling of LIFT, Shi et al. 2024, arXiv:2309.10019 (five crops, 24 pixels more than 224).
    """
    if not isinstance(images, Tensor):
        given = (image[None] for image in images)
        options: dict[str, Any] = {"size": size, "interpolation": interpolation, "expand": expand}
        return torch.cat([view_crops(one, (), **options, mirrored=mirrored) for one in given])
    larger = resize(images, [size + expand], InterpolationMode(interpolation), antialias=True)
    return torch.stack((ten_crop if mirrored else five_crop)(larger, [size, size]), dim=1)


def random_crops(
    images: Pixels, generators: Iterable[torch.Generator], *, num: int, **options: Any
) -> UInt8[Tensor, "b v c size size"]:
    """So many of `random_resized_crop` with these options. The stream that they are drawn from is named by what the picture shows.

    Source: the randomised test-time ensembling of LIFT, Shi et al. 2024, arXiv:2309.10019.
    """
    views = []
    for image in images:
        rng = views_stream(image)
        views.append(random_resized_crop([image] * num, [rng] * num, **options))
    return torch.stack(views)


def views_stream(image: Tensor) -> torch.Generator:
    """What random views of a picture are drawn from: a stream that is named by what the picture shows."""
    return generator(0, "views", hashlib.sha256(image.cpu().numpy().tobytes()).hexdigest())


def side_crops(
    images: Pixels, generators: Iterable[torch.Generator], *, size: int, interpolation: str
) -> UInt8[Tensor, "b 3 c {size} {size}"]:
    """Shorter side to `size`, then the two ends and the middle along the longer side. Draws nothing.

    Source: Feichtenhofer et al. 2019 (SlowFast), arXiv:1812.03982, section 4.1, the three views in space.
    """
    if not isinstance(images, Tensor):
        return torch.cat(
            [side_crops(one[None], (), size=size, interpolation=interpolation) for one in images]
        )
    larger = resize(images, [size], InterpolationMode(interpolation), antialias=True)
    down, right = larger.shape[-2] - size, larger.shape[-1] - size
    corners = ((part * down // 2, part * right // 2) for part in range(3))
    return torch.stack([larger[..., top : top + size, left : left + size] for top, left in corners], dim=1)


def pad_crop(
    images: Pixels, generators: Iterable[torch.Generator], *, size: int, interpolation: str, flip: bool
) -> UInt8[Tensor, "b c {size} {size}"]:
    """Resize to `size`, reflect `size // 8` pixels at every side, cut size x size, mirror one in two."""
    square = centre_crop(images, (), size=size, interpolation=interpolation, crop_pct=1.0)
    pad = size // 8
    padded = np.pad(
        square.permute(0, 2, 3, 1).numpy(), ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect"
    )
    out = np.empty((len(square), size, size, square.shape[1]), dtype=np.uint8)
    for item, own in enumerate(generators):
        down, right, mirror = torch.rand(3, generator=own).tolist()
        top, left = int(down * (2 * pad + 1)), int(right * (2 * pad + 1))
        window = padded[item, top : top + size, left : left + size]
        out[item] = window[:, ::-1] if flip and mirror < 0.5 else window
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def random_resized_crop(
    images: Pixels,
    generators: Iterable[torch.Generator],
    *,
    size: int,
    interpolation: str,
    scale: tuple[float, float],
    flip: bool,
) -> UInt8[Tensor, "b c {size} {size}"]:
    """Cut a random box (share of the area in `scale`, aspect 3/4 to 4/3), resize it, mirror one in two.

    Source: torchvision's RandomResizedCrop and RandomHorizontalFlip.
    Differs: the same distribution, drawn at once from each picture's own generator instead of the global one.
    """
    out = np.empty((len(images), len(images[0]), size, size), dtype=np.uint8)
    antialias = interpolation != "nearest"
    for item, (image, own) in enumerate(zip(images, generators, strict=True)):
        draw = torch.rand(4 * NUM_ATTEMPTS + 1, generator=own).tolist()
        top, left, height, width = crop_box(draw, image.shape[1], image.shape[2], scale)
        box = image[None, :, top : top + height, left : left + width]
        resized = functional.interpolate(box, size=(size, size), mode=interpolation, antialias=antialias)[
            0
        ].numpy()
        out[item] = resized[..., ::-1] if flip and draw[-1] < 0.5 else resized
    return torch.from_numpy(out)


def crop_box(
    draw: list[float], height: int, width: int, scale: tuple[float, float]
) -> tuple[int, int, int, int]:
    """(top, left, height, width) from uniform numbers, four a try; the central box if none of ten fits."""
    for attempt in range(NUM_ATTEMPTS):
        area, aspect, down, right = draw[4 * attempt : 4 * attempt + 4]
        pixels = height * width * (scale[0] + (scale[1] - scale[0]) * area)
        ratio = math.exp(math.log(ASPECT[0]) + (math.log(ASPECT[1]) - math.log(ASPECT[0])) * aspect)
        box_width, box_height = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            return (
                int(down * (height - box_height + 1)),
                int(right * (width - box_width + 1)),
                box_height,
                box_width,
            )
    box_width = min(width, round(height * ASPECT[1]))
    box_height = min(height, round(width / ASPECT[0]))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


def _centre(
    images: UInt8[Tensor, "b c h w"], size: int, interpolation: str, crop_pct: float
) -> UInt8[Tensor, "b c {size} {size}"]:
    short = size if max(images.shape[2:]) <= size else int(size / crop_pct)
    return center_crop(
        resize(images, [short], InterpolationMode(interpolation), antialias=True), [size, size]
    )
