"""Random crops of a picture as a network reads it."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from peftlab.dataset.image.crop import NUM_ATTEMPTS, SCALE, crop_box, views_stream


def random_views(image: Float[Tensor, "1 3 h w"], num_views: int) -> Float[Tensor, "v 3 h w"]:
    """Random boxes, each resized to the whole and one in two mirrored. The stream they are drawn from is named by what the picture
    shows.

    Source: torchvision's RandomResizedCrop and RandomHorizontalFlip with their own numbers. Differs: of the normalised picture at
    the network's size, not of the stored one.
    """
    rng = views_stream(image)
    height, width = image.shape[-2:]
    views = []
    for draw in torch.rand(num_views, 4 * NUM_ATTEMPTS + 1, generator=rng).tolist():
        top, left, tall, wide = crop_box(draw, height, width, SCALE)
        box = image[..., top : top + tall, left : left + wide]
        view = F.interpolate(box, size=(height, width), mode="bilinear")
        views.append(view.flip(-1) if draw[-1] < 0.5 else view)
    return torch.cat(views)
