"""fit.mixup, fit.cutmix: each image of a batch with another one in it, and the loss of both labels."""

import math
from typing import Any

import numpy as np
from torch import Tensor

from peftlab.errors import UserError
from peftlab.fit.plan import Plan
from peftlab.inputs.batch import Batch, Mixed
from peftlab.inputs.clip import CLIPS, IMAGES
from peftlab.stream import stream_seed

CUT_SHARE = 0.5  # of the batches, where both are on


def mixed(plan: Plan, batch: Batch, seed: int, *place: int) -> Batch:
    """The batch with the image of item i - 1 in that of item i, by a share 1 - l, l ~ Beta(a, a), one for the batch.

    mixup: l x_i + (1 - l) x_(i-1). cutmix: of x_(i-1) a box of that share of the area, less what lies beyond the border; l follows
    the box. With both, a coin decides. The loss is l L(z, y_i) + (1 - l) L(z, y_(i-1)). Draws are a function of (seed, place).

    Source: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899; as torchvision.transforms.v2.MixUp and CutMix do
    them, whose soft targets are the same for cross entropy, and mean nothing to other losses.

    Raises:
        UserError: for a batch without images.
    """
    name = CLIPS if CLIPS in batch.inputs else IMAGES  # of clips, one share or one box for all frames
    images = batch.inputs.get(name)
    if images is None:
        raise UserError(
            f"fit.mixup and fit.cutmix mix images, and the data have {', '.join(batch.inputs)}; legal: 0"
        )
    rng = np.random.default_rng(stream_seed(seed, "mix", *place))
    cuts = bool(plan.cutmix) and (not plan.mixup or rng.random() < CUT_SHARE)
    alpha = plan.cutmix if cuts else plan.mixup
    share = float(rng.beta(alpha, alpha))
    images, share = _cut(images, share, rng) if cuts else (_blend(images, share), share)
    partners = Mixed(batch.targets.roll(1, 0), share)
    return batch._replace(inputs={**batch.inputs, name: images}, mixed=partners)


def _blend(images: Tensor, share: float) -> Tensor:
    return images.roll(1, 0).mul_(1 - share).add_(images.mul(share))


def _cut(images: Tensor, share: float, rng: Any) -> tuple[Tensor, float]:
    height, width = images.shape[-2:]
    x, y = int(rng.integers(width)), int(rng.integers(height))
    half = 0.5 * math.sqrt(1 - share)
    across, down = int(half * width), int(half * height)
    left, right = max(x - across, 0), min(x + across, width)
    top, bottom = max(y - down, 0), min(y + down, height)
    found = images.clone()
    found[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
    return found, 1 - (right - left) * (bottom - top) / (width * height)
