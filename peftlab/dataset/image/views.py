"""Several views of each picture, of which one answer is made."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from peftlab.inputs.clip import CLIPS, IMAGES

NUM_AXES = {IMAGES: 4, CLIPS: 5}  # without views


def mean_over_views(
    outputs: Callable[[dict[str, Tensor]], Float[Tensor, "b o"]], inputs: dict[str, Tensor]
) -> Float[Tensor, "b o"]:
    """The mean of the outputs over v views, one view after the other; of inputs without views the outputs.

    Views are `{"images": [b, v, 3, h, w]}` or `{"clips": [b, v, t, 3, h, w]}`.
    """
    return mean_of([outputs(view) for view in views_of(inputs)])


def views_of(inputs: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The inputs of each view; those that have one are themselves the only one."""
    for name, num_axes in NUM_AXES.items():
        if name in inputs and inputs[name].ndim == num_axes + 1:
            return [{**inputs, name: view} for view in inputs[name].unbind(1)]
    return [inputs]


def mean_of(outputs: list[Float[Tensor, "*shape"]]) -> Float[Tensor, "*shape"]:
    """Over the views; of one what it is."""
    return torch.stack(outputs).mean(0) if len(outputs) > 1 else outputs[0]
