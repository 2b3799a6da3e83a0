"""Checkpoints of open_clip under timm's names."""

from collections.abc import Mapping

from torch import Tensor

TOWER = "visual."  # of a picture, beside the tower of texts
RENAMED = {
    "conv1": "patch_embed.proj",
    "class_embedding": "cls_token",
    "positional_embedding": "pos_embed",
    "ln_pre": "norm_pre",
    "ln_post": "norm",
    "transformer.resblocks": "blocks",
    "ln_1": "norm1",
    "ln_2": "norm2",
    "attn.in_proj_": "attn.qkv.",
    "attn.out_proj": "attn.proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def timm_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a checkpoint of open_clip the image tower under timm's names, without its projection; any other as it is.

    cls_token is `[1, 1, c]` and pos_embed `[1, tokens, c]` in timm, `[c]` and `[tokens, c]` in open_clip. Nothing is resampled.
    Source: open_clip.transformer.VisionTransformer; timm's checkpoint_filter_fn. Differs: that one resamples positions and patches
    of another size and says nothing.
    """
    of_module = {key.removeprefix("module."): value for key, value in state.items()}
    if f"{TOWER}class_embedding" not in of_module:
        return dict(state)
    tower = {key.removeprefix(TOWER): value for key, value in of_module.items() if key.startswith(TOWER)}
    tower.pop("proj", None)
    tower["class_embedding"] = tower["class_embedding"][None]
    for key in {"class_embedding", "positional_embedding"} & tower.keys():
        tower[key] = tower[key][None]
    return {_renamed(key): value for key, value in tower.items()}


def _renamed(key: str) -> str:
    for theirs, own in RENAMED.items():
        key = key.replace(theirs, own)
    return key
