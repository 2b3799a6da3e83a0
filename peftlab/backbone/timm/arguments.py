"""backbone.model_args: what can be said of timm's arguments before timm is imported and memory is taken."""

import re
from collections.abc import Mapping
from typing import Any

from peftlab.errors import UserError

# whole numbers with their largest; a list of them where timm takes one for each side or stage
WHOLE = {
    "img_size": 4096,
    "patch_size": 512,
    "window_size": 512,
    "embed_dim": 16384,
    "depth": 1000,
    "depths": 1000,
    "num_heads": 512,
}
MAX_TOKENS = 2**16
# what is decided elsewhere: the head, and where weights come from
RESERVED = {
    "num_classes": "the head is the group head",
    "pretrained": "backbone.pretrained",
    "checkpoint_path": "backbone.checkpoint",
    "pretrained_cfg": "backbone.name",
    "pretrained_cfg_overlay": "backbone.name",
    "cache_dir": "the environment variable HF_HOME",
    "features_only": "a backbone gives features always",
    "scriptable": "nothing",
    "exportable": "nothing",
    "no_jit": "nothing",
}


def check_arguments(name: str, given: Mapping[str, Any]) -> None:
    """`given` are the model_args of the timm model `name`.

    Raises:
        UserError: for an argument that is decided elsewhere, and for a number that no network has.
    """
    for key, value in given.items():
        said = f"backbone.model_args.{key}={value}"
        if key in RESERVED:
            raise UserError(f"{said} is not an argument to give; legal instead: {RESERVED[key]}")
        if key == "in_chans" and value != 3:
            raise UserError(f"{said} does not fit pictures, which have three channels; legal: 3")
        if key in WHOLE and not all(_is_whole(item, WHOLE[key]) for item in _each(value)):
            raise UserError(f"{said} is not legal; legal: a whole number from 1 to {WHOLE[key]}")
    _check_heads(given)
    _check_size(name, given)


def _check_heads(given: Mapping[str, Any]) -> None:
    width, heads = given.get("embed_dim"), given.get("num_heads")
    if isinstance(width, int) and isinstance(heads, int) and width % heads:
        legal = [
            str(number) for number in range(1, min(width, WHOLE["num_heads"]) + 1) if width % number == 0
        ]
        raise UserError(
            f"backbone.model_args.num_heads={heads} does not divide embed_dim={width}; legal: {', '.join(legal[:20])}"
        )


def _check_size(name: str, given: Mapping[str, Any]) -> None:
    """Pictures are square, and of whole patches."""
    size = given.get("img_size")
    if size is None or given.get("dynamic_img_pad"):
        return
    sides = _each(size)
    if len(set(sides)) != 1:
        raise UserError(f"backbone.model_args.img_size={size} is not a square; legal: one whole number")
    named = re.search(r"patch(\d+)", name)
    patch = _each(given.get("patch_size", int(named[1]) if named else 1))[0]
    if sides[0] % patch:
        low = max(1, sides[0] // patch) * patch
        raise UserError(
            f"backbone.model_args.img_size={size} is no multiple of the patch size {patch}; legal: {low}, {low + patch}, ..."
        )
    if (sides[0] // patch) ** 2 > MAX_TOKENS:
        raise UserError(
            f"backbone.model_args.img_size={size} makes {(sides[0] // patch) ** 2} patches; legal: at most {MAX_TOKENS}"
        )


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) and value else [value]


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
