"""peft=mask_random: single weights drawn at random, the control of the other masks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from peftlab.option import Seed
from peftlab.peft.mask.mask import Entries
from peftlab.peft.weights import Weight, Weights
from peftlab.stream import generator


@dataclass(frozen=True, kw_only=True)
class MaskRandom(Entries):
    """Every k of the placed weights are equally likely.

    A weight's draws are its own, so two placements rank the weights that they share in the same order.

    Source: a control in the code of Sung et al. 2021, arXiv:2111.09839.
    """

    seed: Seed

    def scores(self, weights: Weights, candidates: list[Weight]) -> list[Tensor]:
        """Uniform draws: in double precision, since single has only 2^24 different ones and so ties among 10^7."""
        streams = [generator(self.seed, "mask_random", weight.name, *weight.slice) for weight in candidates]
        return [
            torch.rand(weight.value.shape, generator=rng, dtype=torch.float64)
            for weight, rng in zip(candidates, streams, strict=True)
        ]
