"""What can be asked of a choice of the group backbone, whatever library it is from. Imports no torch before it must."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftlab.backbone.hf import folder as hf
from peftlab.backbone.hf_clip import folder as hf_clip
from peftlab.backbone.open_clip import name as open_clip
from peftlab.backbone.quantise import check_quantise, quantise_of
from peftlab.backbone.timm.arguments import check_arguments
from peftlab.backbone.timm.checkpoint import called as timm_called
from peftlab.backbone.timm.checkpoint import check_checkpoint, checkpoint_path
from peftlab.backbone.timm.name import check_timm_name
from peftlab.errors import UserError
from peftlab.option import Choice

if TYPE_CHECKING:
    from peftlab.backbone.backbone import Backbone

ROOM = "peftlab.backbone."
LIBRARIES = ("timm", "hf", "open_clip", "hf_clip", "duo")
OF_FOLDERS = ("hf", "hf_clip")  # whose names are folders, or names of the hub
RANDOM = {"pretrained": False, "sha256": None}


def library(target: object) -> str | None:
    """Of the `_target_` of a backbone, one of LIBRARIES; None for people's own."""
    return next((word for word in LIBRARIES if str(target).startswith(f"{ROOM}{word}.")), None)


def check_choice(choice: Choice) -> None:
    """That its name is known, and its files are there and of a kind that is read.

    Raises:
        UserError: if not.
    """
    name = str(choice.options["name"])
    if library(choice.target) is not None:
        check_quantise(quantise_of(choice.options))
    if library(choice.target) == "duo":
        for tower in _towers(choice):
            check_choice(tower)
        check_checkpoint({**choice.options, "pretrained": False})
        return
    if library(choice.target) == "open_clip":
        open_clip.check_open_clip(choice.options)
        return
    if library(choice.target) == "hf_clip":
        hf_clip.check_clip(choice.options)
        return
    if library(choice.target) == "hf":
        hf.check_folder(choice.options)
        return
    check_timm_name(name)
    if library(choice.target) == "timm":
        check_checkpoint(choice.options)
        check_arguments(name, choice.options["model_args"])


def _towers(choice: Choice) -> tuple[Choice, Choice]:
    """Of backbone=duo those that it joins."""
    return choice.options["image"], choice.options["text"]


def check_writes(choice: Choice) -> None:
    """That a network of Hugging Face whose files are here can write texts.

    Raises:
        UserError: for an encoder.
    """
    name = str(choice.options["name"])
    folder = hf.local_folder(name) if library(choice.target) == "hf" else None
    if folder is None:
        return
    if not hf.check_files(name, folder, pretrained=False)[0].scores_words:
        raise UserError(
            f"backbone.name={name} is an encoder, which writes no texts; legal with task=generate: a decoder, as"
            " backbone=smollm2_135m"
        )


def called(node: Mapping[str, Any]) -> str | None:
    """What people call a backbone of this node of a config."""
    name = node.get("name")
    if library(node.get("_target_")) == "duo":
        return name if isinstance(name, str) else None
    if library(node.get("_target_")) == "open_clip":
        return open_clip.called(node)
    if library(node.get("_target_")) in OF_FOLDERS:
        return hf.called(name) if isinstance(name, str) else None
    return timm_called(node)


def paths(node: Mapping[str, Any]) -> dict[str, Path]:
    """Option -> the file or folder of one's own that it names."""
    found = {}
    checkpoint, name = node.get("checkpoint"), node.get("name")
    if isinstance(checkpoint, str):
        found["checkpoint"] = checkpoint_path(checkpoint)
    of = library(node.get("_target_"))
    if of in OF_FOLDERS and isinstance(name, str) and hf.is_folder(name):
        found["name"] = hf.expanded(name)
    own = open_clip.local_folder(name) if of == "open_clip" and isinstance(name, str) else None
    return found if own is None else {**found, "name": own}


def files_of(node: Mapping[str, Any]) -> list[Path]:
    """The files that are read of a folder of one's own."""
    folder = paths(node).get("name")
    read = {"open_clip": open_clip.READ, "hf_clip": hf_clip.READ}.get(
        library(node.get("_target_")) or "", hf.READ
    )
    return [] if folder is None else [folder / name for name in read]


def shapes_of(choice: Choice) -> "Backbone":
    """The backbone on torch's meta device.

    Raises:
        UserError: as the backbone itself; and for people's own.
    """
    from peftlab.backbone.int8 import quantised

    return quantised(_shapes(choice), choice.options.get("quantise"))


def _shapes(choice: Choice) -> "Backbone":
    found = library(choice.target)
    if found == "duo":
        from peftlab.backbone.duo.shapes import shapes as shapes_of_duo

        return shapes_of_duo(choice.options, shapes_of)
    if found == "open_clip":
        from peftlab.backbone.open_clip.shapes import shapes as shapes_of_open_clip

        return shapes_of_open_clip(choice.options)
    if found == "hf_clip":
        from peftlab.backbone.hf_clip.shapes import shapes as shapes_of_hf_clip

        return shapes_of_hf_clip(choice.options)
    if found == "hf":
        from peftlab.backbone.hf.shapes import shapes as shapes_of_hf

        return shapes_of_hf(choice.options)
    if found is None:
        raise UserError(
            f"backbone._target_={choice.target} has no shapes before it is built; legal: timm's or Hugging Face's"
        )
    from peftlab.backbone.timm.shapes import shapes as shapes_of_timm

    return shapes_of_timm(choice.options)


def random_of(choice: Choice) -> "Backbone":
    """The backbone with random weights."""
    if library(choice.target) == "duo":
        image, text = ((lambda tower=tower: random_of(tower)) for tower in _towers(choice))
        joined: Backbone = choice(image=image, text=text, sha256=None, checkpoint=None)
        return joined
    more = {key: None for key in ("checkpoint",) if key in choice.options}
    backbone: Backbone = choice(**RANDOM, **more)
    return backbone
