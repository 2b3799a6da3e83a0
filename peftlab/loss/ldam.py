"""loss=ldam: cross entropy with a margin that is larger for rarer classes, and weights of classes late in training."""

from typing import Annotated

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from peftlab.loss.class_balanced import class_balanced
from peftlab.loss.cross_entropy import cross_entropy
from peftlab.option import BelowOne, PositiveFloat, Range


class Ldam:
    """L = w_y CE(z - s d_y e_y, y), d_c = m n_c^(-1/4) / max_k n_k^(-1/4), over classes k that have items.

    `max_margin` m is in units of a cosine and `scale` s those of a logit: the head's own scale. From the share `after` of the
    training on, w are those of class_balanced with `beta`; before it, or with `after` None, they are 1.

    Source: Cao et al. 2019, arXiv:1906.07413 (label-distribution-aware margin, deferred re-weighting; m = 0.5, s = 30, the last
    40 of 200 epochs). Differs: a mean over items and not over weights; one step of the learning rate is no part of it.
    """

    def __init__(
        self,
        counts: Int[Tensor, " c"],
        *,
        max_margin: Annotated[float | int, Range(0, 2)],
        scale: PositiveFloat,
        after: BelowOne | None,
        beta: Annotated[float | int, Range(0, 1)],
    ) -> None:
        margin = counts.clamp_min(1).double() ** -0.25
        self._shift = scale * max_margin * margin / margin[counts > 0].max()
        self._after = after
        self._early, self._late = (
            cross_entropy(counts, label_smoothing=0.0),
            class_balanced(counts, beta=beta),
        )
        self.phase = 0

    def at(self, share: float) -> None:
        """`share` of the training has passed."""
        self.phase = int(self._after is not None and share >= self._after)

    def __call__(self, logits: Float[Tensor, "b c"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The mean over the items of a batch."""
        moved = logits - F.one_hot(labels, logits.shape[-1]) * self._shift.to(logits)
        return (self._late if self.phase else self._early)(moved, labels)
