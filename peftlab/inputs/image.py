"""What a backbone expects of its input images."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InputSpec:
    """Side length in pixels, per-channel mean and std of pixels in [0, 1], interpolation, centre-crop share."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    crop_pct: float
