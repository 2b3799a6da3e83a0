"""Several views of each picture, of which one answer is made."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def mean_over_views(
    outputs: Callable[[dict[str, Tensor]], Float[Tensor, "b o"]], inputs: dict[str, Tensor]
) -> Float[Tensor, "b o"]:
    """The mean of the outputs over v views, `{"images": [b, v, 3, h, w]}`, one view after the other; of other inputs the outputs."""
    images = inputs.get("images")
    if images is None or images.ndim != 5:
        return outputs(inputs)
    return torch.stack([outputs({**inputs, "images": view}) for view in images.unbind(1)]).mean(0)
