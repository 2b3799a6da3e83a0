"""What the frozen image tower of two gives of the items of a split: once in a process for all that leave it alone."""

from itertools import count
from typing import Any

import torch
from torch import Tensor

from peftlab.backbone.pair import VECTORS, image_vectors
from peftlab.build.trunk import Trunk, shared
from peftlab.dataset.split import Split
from peftlab.network.cell import Cell
from peftlab.network.classes import touched
from peftlab.task.task import Outputs


def with_vectors(outputs: Outputs, trunk: Trunk, split: Split, how: Any) -> Outputs:
    """`outputs` for one pass over the batches of the split, told the vectors of their images; `how` is all else that these depend on.

    Views of an image are each computed.
    """
    backbone, data = trunk.backbone, trunk.dataset
    if not backbone.towers or data.views is not None:
        return outputs
    read = backbone.hash, split.index_hash(), data.tested_transform.text
    key = (*read, trunk.eval_batch_size, str(trunk.device), how)
    known: list[Tensor] = shared("vectors", key, list)
    place = count()

    def answer(inputs: dict[str, Tensor]) -> Tensor:
        number = next(place)
        if number == len(known):
            with torch.no_grad():
                known.append(image_vectors(backbone, inputs))
        return outputs({**inputs, VECTORS: known[number]})

    return answer


def leaves_images(cell: Cell, trunk: Trunk) -> bool:
    """Whether the image tower of two is as it was."""
    towers = trunk.backbone.towers
    return bool(towers) and "image" not in touched(cell, towers[0].depth)
