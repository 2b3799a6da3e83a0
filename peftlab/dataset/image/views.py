"""Several views of each picture, of which one answer is made."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def mean_over_views(
    outputs: Callable[[dict[str, Tensor]], Float[Tensor, "b o"]], inputs: dict[str, Tensor]
) -> Float[Tensor, "b o"]:
    """The mean of the outputs over v views, `{"images": [b, v, 3, h, w]}`, one view after the other; of other inputs the outputs."""
    return mean_of([outputs(view) for view in views_of(inputs)])


def views_of(inputs: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The inputs of each view; those that have one are themselves the only one."""
    images = inputs.get("images")
    if images is None or images.ndim != 5:
        return [inputs]
    return [{**inputs, "images": view} for view in images.unbind(1)]


def mean_of(outputs: list[Float[Tensor, "*shape"]]) -> Float[Tensor, "*shape"]:
    """Over the views; of one what it is."""
    return torch.stack(outputs).mean(0) if len(outputs) > 1 else outputs[0]
