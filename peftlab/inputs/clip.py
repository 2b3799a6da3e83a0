"""Clips: several frames of one item. What tells them from several views of a picture is their name among the inputs."""

from jaxtyping import Float
from torch import Tensor

IMAGES, CLIPS = (
    "images",
    "clips",
)  # `[b, 3, h, w]`, `[b, t, 3, h, w]`; with views both have one more axis behind b


def num_frames_of(inputs: dict[str, Tensor]) -> int:
    """Frames of each item; 1 of what is no clip."""
    return inputs[CLIPS].shape[1] if CLIPS in inputs else 1


def frames_of(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Clips as a batch of pictures, the frames of an item one behind the other: `[b t, 3, h, w]`; other inputs as they are."""
    if CLIPS not in inputs:
        return inputs
    others = {name: value for name, value in inputs.items() if name != CLIPS}
    return {**others, IMAGES: inputs[CLIPS].flatten(0, 1)}


def mean_over_frames(values: Float[Tensor, "*n d"], inputs: dict[str, Tensor]) -> Float[Tensor, "*m d"]:
    """What was made of `frames_of(inputs)`, `[k b t, d]`, as one value for each item, `[k b, d]`: the mean over its frames."""
    return values.unflatten(0, (-1, num_frames_of(inputs))).mean(1) if CLIPS in inputs else values
