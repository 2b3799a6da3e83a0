"""backbone.name of a CLIP or SigLIP of Hugging Face, before torch is imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peftlab.backbone.hf.folder import CONFIG, FILES, checked_config, checked_folder
from peftlab.errors import UserError

PREPROCESSOR = "preprocessor_config.json"
READ = (*FILES, PREPROCESSOR)
KINDS = ("clip", "siglip")


def check_clip(options: Mapping[str, Any]) -> Path | None:
    """Of the options: that what it needs is installed, and its files are there and of a model that has tables; gives its folder,
    None for a name of the hub.

    Raises:
        UserError: if not.
    """
    folder = checked_folder(options)
    if folder is not None:
        config_of(str(options["name"]), folder, options["pretrained"])
    return folder


def config_of(name: str, folder: Path, pretrained: bool) -> dict[str, Any]:
    """The config.json of a model of two towers.

    Raises:
        UserError: for files that are missing, and a model of another kind.
    """
    config = checked_config(name, folder, pretrained)
    kind = config.get("model_type")
    if kind not in KINDS:
        raise UserError(
            f"backbone.name={name}: no tables of two towers for model_type {kind}; legal: {', '.join(KINDS)}, and with backbone=hf"
            " networks of one"
        )
    if kind == "siglip" and (config.get("vision_config") or {}).get("vision_use_head") is False:
        raise UserError(
            f"backbone.name={name}: {CONFIG} has vision_use_head=false, and nothing makes a vector of its patches; legal: true"
        )
    return config
