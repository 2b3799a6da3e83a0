"""The table of places of timm's ViTs: a stack of equal blocks (augreg, DeiT, CLIP, SigLIP, DINO, BEiT, EVA)."""

from typing import Any

from torch import nn

from peftlab.backbone.backbone import Place
from peftlab.backbone.table import Table
from peftlab.backbone.timm.block import ATTENTIONS, block_places, tokens_place
from peftlab.errors import UserError
from peftlab.site import Site

LEGAL = "legal: timm's ViTs with a norm before each sub-layer (vit_*, deit*, beit*, eva02_*, dinov2, dinov3), swin_*"
BLOCKS = ("Block", "EvaBlock", "RelPosBlock")
POST_NORM = "norm what a sub-layer writes, not what it reads"
OTHERS = {
    "ResPostBlock": POST_NORM,
    "ResPostRelPosBlock": POST_NORM,
    "EvaBlockPostNorm": POST_NORM,
    "ParallelScalingBlock": "take q, k, v and the MLP from one matrix",
    "DiffParallelScalingBlock": "take q, k, v and the MLP from one matrix",
    "ParallelThingsBlock": "have several attentions side by side",
    "LayerScaleBlock": "mix their attention heads, and other blocks follow for the class token",
    "HieraBlock": "pool tokens inside attention, where widths change",
    "XCABlock": "attend over channels, not over tokens",
}
GRID = "its blocks read a grid of patches, not a row of tokens"


def vit_table(model: nn.Module, name: str) -> Table:
    """The places of all blocks, which are the modules `blocks.0`, `blocks.1`, ...

    Raises:
        UserError: if there are none, or their forward is not the one that the places are made for.
    """
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not blocks:
        raise UserError(f"backbone.name={name} has no `blocks`; {LEGAL}")
    kinds = {type(block).__name__ for block in blocks} - {*BLOCKS}
    if kinds:
        kind = min(kinds)
        reason = OTHERS.get(kind, "are none that a table of places is made for")
        raise UserError(f"backbone.name={name}: its blocks ({kind}) {reason}; {LEGAL}")
    _call_qkv(model)
    roots = tuple(f"blocks.{index}" for index in range(len(blocks)))
    places: dict[Site, Place] = {}
    for index, (root, block) in enumerate(zip(roots, blocks, strict=True)):
        places |= block_places(index, root, block, name)
        places[Site(index, "tokens")] = tokens_place(root, places[Site(index, "attn")].num_in)
    refused = _refused(model, blocks[0])
    places = {site: place for site, place in places.items() if site.position not in refused}
    outside = tuple(key for key, _ in model.named_parameters() if not key.startswith("blocks."))
    labels = tuple(str(index) for index in range(len(blocks)))
    num_prefix_tokens: int = getattr(model, "num_prefix_tokens", 0)
    return Table(roots, labels, num_prefix_tokens, places, outside, refused)


def _call_qkv(model: nn.Module) -> None:
    """BEiT and EVA bypass `attn.qkv` where its bias is apart, unless told to add it afterwards: the same function."""
    module: Any
    for module in model.modules():
        if getattr(module, "q_bias", None) is not None and hasattr(module, "qkv_bias_separate"):
            module.qkv_bias_separate = True


def _refused(model: nn.Module, block: nn.Module) -> dict[str, str]:
    """Positions that a linear layer or a sub-layer has always, and these not."""
    if not hasattr(model, "num_prefix_tokens"):  # SAM
        return {"kv": GRID, "tokens": GRID}
    refused = {}
    kind = type(block.attn).__name__
    if kind not in ATTENTIONS:
        refused["kv"] = f"its attention ({kind}) is not one softmax over keys"
    if _has_relative_positions(model, block):
        refused["tokens"] = "its attention adds a table of relative positions, in which prompts have none"
    return refused


def _has_relative_positions(model: nn.Module, block: nn.Module) -> bool:
    """BEiT's table in every block or one for all of them, and that of vit_relpos and vit_srelpos."""
    attributes = ("relative_position_bias_table", "rel_pos")
    own = any(getattr(block.attn, key, None) is not None for key in attributes)
    return own or any(getattr(model, key, None) is not None for key in ("rel_pos_bias", "shared_rel_pos"))
