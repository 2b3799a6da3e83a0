"""What a config changes of the input that a backbone expects."""

from dataclasses import replace

from peftlab.dataset.rules import check_channels, check_crop
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


def used_spec(
    spec: InputSpec,
    interpolation: str | None,
    mean: list[float] | None,
    std: list[float] | None,
    standardise: bool,
) -> InputSpec:
    """The backbone's input with what is not null put in its place.

    Raises:
        UserError: for a mean or std of other than three channels or beside `standardise`, or an interpolation
            (of the backbone's own, too) that tensors do not have.
    """
    check_channels(mean, std, standardise)
    used = replace(
        spec,
        interpolation=interpolation or spec.interpolation,
        mean=spec.mean if mean is None else (mean[0], mean[1], mean[2]),
        std=spec.std if std is None else (std[0], std[1], std[2]),
    )
    if used.interpolation not in INTERPOLATIONS:
        raise UserError(
            f"dataset.interpolation={used.interpolation} is not offered; legal: {', '.join(INTERPOLATIONS)}"
        )
    return used


def crop_area(crop_scale: list[float]) -> tuple[float, float]:
    """The least and the largest share of the area that a random crop keeps.

    Raises:
        UserError: for anything but two shares in order.
    """
    check_crop(crop_scale)
    return crop_scale[0], crop_scale[1]
