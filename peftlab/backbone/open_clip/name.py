"""Is this a model of open_clip, and one whose towers have tables? Answered from its files, without importing it (seconds)."""

import ast
import json
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peftlab.backbone.timm.checkpoint import check_checkpoint
from peftlab.errors import UserError
from peftlab.inputs.path import expanded

INSTALL = 'pip install "peftlab[clip]"'
CONFIG = "open_clip_config.json"
READ = (CONFIG, "tokenizer.json", "tokenizer_config.json")  # of a folder
PARTS = ("embed_dim", "vision_cfg", "text_cfg")


def check_open_clip(options: Mapping[str, Any]) -> None:
    """Of the options of a model of open_clip: that it is installed, knows the name and the weights, and both towers have tables.

    Raises:
        UserError: if not.
    """
    name, pretrained = str(options["name"]), options["pretrained"]
    check_towers(name, model_config(name))
    check_checkpoint(options)
    if not pretrained:
        return
    known = [] if local_folder(name) is not None else _tags().get(name.removesuffix("-quickgelu"), [])
    if str(pretrained).lower().replace("-", "_") not in known:
        legal = f"one of {', '.join(known)}" if known else "null, and backbone.checkpoint=FILE"
        raise UserError(
            f"backbone.pretrained={pretrained} is not among the weights of {name}; legal: {legal}"
        )


def called(options: Mapping[str, Any]) -> str | None:
    """What people call it: a folder by its own name."""
    name = options.get("name")
    if not isinstance(name, str):
        return None
    folder = local_folder(name)
    return name if folder is None else folder.name


def local_folder(name: str) -> Path | None:
    """The folder that a name is, which has an open_clip_config.json; None for a model that open_clip knows."""
    return expanded(name) if "/" in name else None


def model_config(name: str) -> dict[str, Any]:
    """open_clip's own description of a model: embed_dim, vision_cfg, text_cfg and what else its file says.

    Raises:
        UserError: if open_clip is not installed or has no such model, or the folder has no description.
    """
    spec = find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"backbone.name={name} needs open_clip, which is not installed; {INSTALL}")
    own = Path(spec.submodule_search_locations[0]) / "model_configs"
    folder = local_folder(name)
    file = own / f"{name}.json" if folder is None else folder / CONFIG
    if folder is None and not file.is_file():
        near = get_close_matches(name, [path.stem for path in own.glob("*.json")], n=3, cutoff=0.3)
        raise UserError(
            f"backbone.name={name} is not a model of open_clip; legal: one of open_clip.list_models(), near: {', '.join(near) or 'none'},"
            f" or a folder with {CONFIG}"
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        config = config.get("model_cfg", config)
        if all(isinstance(config[part], int if part == "embed_dim" else dict) for part in PARTS):
            return dict(config)
    except (OSError, ValueError, RecursionError, LookupError, AttributeError, TypeError):
        pass
    raise UserError(
        f"backbone.name={name} has no {CONFIG} that can be read ({file}); legal: one with model_cfg of {', '.join(PARTS)}"
    )


def check_towers(name: str, config: Mapping[str, Any]) -> None:
    """That both towers are of kinds that have tables.

    Raises:
        UserError: if not.
    """
    vision, text = config["vision_cfg"], config["text_cfg"]
    reason = None
    if "multimodal_cfg" in config or text.get("embed_cls"):
        reason = "its text tower (CoCa) reads a token of its own behind the text"
    elif text.get("hf_model_name"):
        reason = f"its text tower is a network of Hugging Face ({text['hf_model_name']})"
    elif isinstance(vision.get("layers"), list) and "timm_model_name" not in vision:
        reason = "its image tower is a ModifiedResNet, which has no blocks of attention and MLP"
    elif vision.get("timm_model_name") and vision.get("timm_proj", "linear") in ("linear", "mlp"):
        reason = f"its image tower is a timm model ({vision['timm_model_name']}) under a further layer"
    elif text.get("use_pad_mask") or text.get("tokenizer_mode"):
        reason = "its text tower hides padding, or gets tokens in an order of its own"
    if reason is not None:
        raise UserError(
            f"backbone.name={name} has no table: {reason}; legal: ViT-B-16, ViT-L-14 and other ViTs with open_clip's own text tower,"
            " or backbone=hf_clip"
        )


def _tags() -> dict[str, list[str]]:
    """Model -> the words for its weights, from the dictionaries in the source."""
    spec = find_spec("open_clip")
    assert spec is not None
    assert spec.submodule_search_locations
    source = (Path(spec.submodule_search_locations[0]) / "pretrained.py").read_text(encoding="utf-8")
    named: dict[str, ast.expr] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            named[node.targets[0].id] = node.value
    models = named["_PRETRAINED"]
    assert isinstance(models, ast.Dict)
    return {
        str(ast.literal_eval(key)): [str(word.arg) for word in getattr(_value(value, named), "keywords", [])]
        for key, value in zip(models.keys, models.values, strict=True)
        if key is not None
    }


def _value(node: ast.expr, named: Mapping[str, ast.expr]) -> ast.expr:
    return named[node.id] if isinstance(node, ast.Name) else node
