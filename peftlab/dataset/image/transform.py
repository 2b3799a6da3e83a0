"""From 8-bit pictures to the backbone's input `images`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from peftlab.dataset.image.crop import (
    SCALE,
    centre_crop,
    pad_crop,
    random_crops,
    random_resized_crop,
    view_crops,
)
from peftlab.dataset.image.images import Pixels
from peftlab.inputs.image import InputSpec

Augment = Literal["random_resized_crop", "pad_crop_flip", "pad_crop", "none"]
Crop = Callable[[Pixels, Iterable[torch.Generator]], UInt8[Tensor, "b *v c size size"]]
Views = Literal["five_crop", "ten_crop", "random_resized_crop"]
NUM_VIEWS = 10  # random ones
MIN_STD = 1 / 255


@dataclass(frozen=True)
class ImageTransform:
    """Crop, then (pixels / 255 - mean) / std; with `standardise` each picture's own mean and std.

    A picture's std counts as at least one grey level, so that a blank one becomes zeros.
    """

    crop: Crop
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    standardise: bool
    text: str

    def __call__(
        self, images: Pixels, generators: Iterable[torch.Generator] = (), /
    ) -> dict[str, Float[Tensor, "b *v 3 size size"]]:
        """`v` is there if the crop gives several views.

        `generators` gives one generator per picture, from which alone its random numbers come."""
        cropped = self.crop(images, generators)
        pixels = cropped.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        if self.standardise:
            std, mean = torch.std_mean(pixels, dim=(-3, -2, -1), correction=0, keepdim=True)
            return {"images": pixels.sub_(mean).div_(std.clamp_min(MIN_STD))}
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return {"images": pixels.sub_(mean).div_(std)}


def eval_transform(spec: InputSpec, *, standardise: bool) -> ImageTransform:
    """The backbone's own evaluation input: no randomness."""
    crop = partial(centre_crop, size=spec.size, interpolation=spec.interpolation, crop_pct=spec.crop_pct)
    text = f"centre_crop(size={spec.size}, crop_pct={spec.crop_pct}, {spec.interpolation})"
    return ImageTransform(crop, spec.mean, spec.std, standardise, f"{text} -> {_values(spec, standardise)}")


def views_transform(
    spec: InputSpec, views: Views | None, expand: int | None, num: int | None, *, standardise: bool
) -> ImageTransform | None:
    """Several views of each picture, of one that is `expand` pixels larger (None: in proportion to 24 at 224), or `num` random ones
    (None: 10); None without views."""
    if views is None:
        return None
    if views == "random_resized_crop":
        return _random_views(spec, num or NUM_VIEWS, standardise=standardise)
    more = max(1, round(spec.size * 24 / 224)) if expand is None else expand
    crop = partial(
        view_crops,
        size=spec.size,
        interpolation=spec.interpolation,
        expand=more,
        mirrored=views == "ten_crop",
    )
    text = f"{views}(size={spec.size}, expand={more}, {spec.interpolation})"
    return ImageTransform(crop, spec.mean, spec.std, standardise, f"{text} -> {_values(spec, standardise)}")


def _random_views(spec: InputSpec, num: int, *, standardise: bool) -> ImageTransform:
    options: dict[str, Any] = {"size": spec.size, "interpolation": spec.interpolation, "scale": SCALE}
    crop = partial(random_crops, num=num, flip=True, **options)
    text = f"{num} x random_resized_crop(size={spec.size}, scale={SCALE[0]}-{SCALE[1]}, {spec.interpolation}) -> flip"
    return ImageTransform(crop, spec.mean, spec.std, standardise, f"{text} -> {_values(spec, standardise)}")


def train_transform(
    spec: InputSpec, *, augment: Augment, crop_scale: tuple[float, float], standardise: bool
) -> ImageTransform:
    """The training input; `augment="none"` is the evaluation input."""
    if augment == "none":
        return eval_transform(spec, standardise=standardise)
    crop: Crop
    if augment == "random_resized_crop":
        crop = partial(
            random_resized_crop, size=spec.size, interpolation=spec.interpolation, scale=crop_scale, flip=True
        )
        area = f"{crop_scale[0]}-{crop_scale[1]}"
        text = f"random_resized_crop(size={spec.size}, scale={area}, {spec.interpolation}) -> flip"
    else:
        flip = augment == "pad_crop_flip"
        crop = partial(pad_crop, size=spec.size, interpolation=spec.interpolation, flip=flip)
        text = f"pad_crop(size={spec.size}, pad={spec.size // 8}, {spec.interpolation})"
        text += " -> flip" if flip else ""
    return ImageTransform(crop, spec.mean, spec.std, standardise, f"{text} -> {_values(spec, standardise)}")


def _values(spec: InputSpec, standardise: bool) -> str:
    return "standardise each image" if standardise else f"normalise(mean={spec.mean}, std={spec.std})"
