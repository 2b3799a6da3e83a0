"""The table of places of Swin v1: stages of blocks, each stage wider than the one before, attention over windows."""

from typing import Any

from torch import nn

from peftlab.backbone.backbone import Place
from peftlab.backbone.table import Table
from peftlab.backbone.timm.block import block_places
from peftlab.errors import UserError
from peftlab.site import Site

TOKENS = "its attention reads windows of patches, among which prompts have no place"


def swin_table(model: nn.Module, name: str) -> Table:
    """The places of all blocks, which are the modules `layers.STAGE.blocks.BLOCK` and are called STAGE.BLOCK.

    A prefix at `kv` stands before the keys and values of every window.

    Raises:
        UserError: if the blocks are of another kind, as in Swin v2.
    """
    layers: Any = model.layers
    stages = [stage.blocks for stage in layers]
    kinds = {type(block).__name__ for stage in stages for block in stage} - {"SwinTransformerBlock"}
    if kinds:
        raise UserError(
            f"backbone.name={name}: its blocks ({min(kinds)}) are not those of Swin v1 (v2 norms what a sub-layer writes and"
            " compares q with k by their cosine); legal: timm's ViTs, swin_*"
        )
    at = [(stage, block) for stage, blocks in enumerate(stages) for block in range(len(blocks))]
    roots = tuple(f"layers.{stage}.blocks.{block}" for stage, block in at)
    places: dict[Site, Place] = {}
    for index, (root, (stage, block)) in enumerate(zip(roots, at, strict=True)):
        places |= block_places(index, root, stages[stage][block], name)
    inside = tuple(f"{root}." for root in roots)
    outside = tuple(key for key, _ in model.named_parameters() if not key.startswith(inside))
    labels = tuple(f"{stage}.{block}" for stage, block in at)
    return Table(roots, labels, 0, places, outside, {"tokens": TOKENS})
