"""task.tpt_views: before a test image is classified, the tokens around the names of classes move for it alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.inputs.clip import IMAGES
from peftlab.task.task import Outputs

EPS = 1e-8  # of Adam


@dataclass(frozen=True)
class Tpt:
    """One step of the context v on views x_1 (the image itself), ..., x_n, then the scores of x_1, then v as it was:

        v <- v - lr g / (|g| + 1e-8), g the gradient of H(mean of p(x_i)) over the `share` of views of the smallest H(p(x_i))

    which is the first step of Adam. No label is read, and no other image changes anything: views follow from what the image
    shows.

    Source: Shu et al. 2022 (TPT), arXiv:2209.07511, section 3.2, and its code. Differs: no weight decay, which is 5e-5 of v there;
    crops are of the image as the network sees it.
    """

    num_views: int
    lr: float | int
    share: float | int

    def outputs(self, scores: Outputs, num_classes: int, context: Sequence[nn.Parameter]) -> Outputs:
        """`scores`, `[b, o]` with those of the classes first, image by image, each with a context of its own."""

        def one(image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 o"]:
            with torch.enable_grad():
                logits = scores({IMAGES: self.views(image)})[:, :num_classes]
                grads = torch.autograd.grad(self.entropy(logits), context)
            before = [value.detach().clone() for value in context]
            try:
                for value, grad in zip(context, grads, strict=True):
                    value.sub_(self.lr * grad / (grad.abs() + EPS))
                torch.clear_autocast_cache()  # of what they were
                return scores({IMAGES: image})
            finally:
                for value, old in zip(context, before, strict=True):
                    value.copy_(old)
                torch.clear_autocast_cache()

        @torch.no_grad()
        def tuned(inputs: dict[str, Tensor]) -> Tensor:
            return torch.cat([one(image) for image in inputs[IMAGES].split(1)])

        return tuned

    def views(self, image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "v 3 h w"]:
        """The image, and random crops of it."""
        from peftlab.dataset.image.random_views import random_views  # imports torchvision

        return torch.cat([image, random_views(image, self.num_views - 1)])

    def entropy(self, logits: Float[Tensor, "v c"]) -> Float[Tensor, ""]:
        """Of the mean probabilities over the views that are most certain."""
        log_p = logits.log_softmax(-1)
        each = -(log_p.exp() * log_p).sum(-1)
        kept = each.argsort(stable=True)[: max(1, int(self.share * self.num_views))]
        mean = log_p[kept].logsumexp(0) - math.log(len(kept))
        return -(mean.exp() * mean).sum()
