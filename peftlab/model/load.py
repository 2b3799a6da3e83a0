"""adapter.safetensors + adapter.yaml: what was trained, and all that is needed to use it again."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from safetensors.torch import load_file, save_file

from peftlab.backbone.backbone import Backbone
from peftlab.config.file import read_config
from peftlab.config.place import Placed
from peftlab.errors import UserError
from peftlab.network.adapted import Adapted
from peftlab.record.whole_file import whole_file
from peftlab.site import Site, parse_site

WEIGHTS, CARD = "adapter.safetensors", "adapter.yaml"


class Trained(NamedTuple):
    """A finished run, read from its folder."""

    config: dict[str, Any]
    card: dict[str, Any]
    backbone: Backbone
    model: Adapted


def save_adapter(folder: Path, model: Adapted, placed: Placed, card: dict[str, Any]) -> None:
    """Deltas as they are after training, gates, selected weights and their masks, gamma and head. Atomic.

    `card` says which backbone and classes they belong to; the sites of every part are added to it.
    """
    tensors = {name: value.cpu().contiguous() for name, value in model.finished().items()}
    tensors |= {f"index.{key}": value.cpu() for key, value in model.selected.indices().items()}
    if model.gamma.raw is not None:
        tensors["gamma.raw"] = model.gamma.raw.detach().cpu().contiguous()
    with whole_file(folder / WEIGHTS) as part:
        save_file(tensors, part)
    cells = {
        name: {str(site): _options(model, site, own) for site, own in sites.items()}
        for name, sites in placed.items()
    }
    with whole_file(folder / CARD) as part:
        part.write_text(yaml.safe_dump({**card, "cells": cells}, sort_keys=False))


def _options(model: Adapted, site: Site, own: dict[str, Any]) -> dict[str, Any]:
    """The options that a trained site is built with: its own, and what training no longer needs."""
    return {**own, **(model.delta_at(site).after_training if site in model.sites else {})}


def load(folder: str | Path, class_names: list[str] | None = None) -> Adapted:
    """The model of a finished run, in eval mode on the CPU; its logits equal those at the end of the run.

    `class_names`, if given, must be the run's classes in the run's order.

    Raises:
        UserError: if a file is missing, or keys, classes or the backbone differ in any way.
    """
    return read_run(folder, class_names).model


def read_run(folder: str | Path, class_names: list[str] | None = None) -> Trained:
    """The model of `load`, with what it was built from."""
    from peftlab.build.model import build_backbone, build_head, build_model
    from peftlab.record.checkpoint import load_theta

    folder = Path(folder)
    for name in (WEIGHTS, CARD, "config.yaml"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; legal: the folder of a finished run")
    card = yaml.safe_load((folder / CARD).read_text())
    config = read_config(folder)
    _check_classes(folder, card["class_names"], class_names)
    backbone = build_backbone(config)
    if backbone.hash != card["backbone_hash"]:
        raise UserError(
            f"{folder} was trained on {card['backbone']} with hash {card['backbone_hash'][:12]}, not {backbone.hash[:12]}"
        )
    try:
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read ({error}); the file is damaged") from error
    gamma = tensors.pop("gamma.raw", None)
    indices = {key[6:]: tensors.pop(key) for key in list(tensors) if key.startswith("index.")}
    placed = {
        name: {parse_site(site): options for site, options in cells.items()}
        for name, cells in card["cells"].items()
    }
    head = build_head(config, backbone, len(card["class_names"]), None)
    model, _ = build_model(config, backbone, head, placed, indices=indices)
    load_theta(model, tensors, gamma)
    return Trained(config, card, backbone, model.eval())


def _check_classes(folder: Path, trained: list[str], given: list[str] | None) -> None:
    if given is None or list(given) == trained:
        return
    if len(given) != len(trained):
        raise UserError(f"{folder} was trained on {len(trained)} classes, not {len(given)}")
    index = next(index for index, pair in enumerate(zip(trained, given, strict=True)) if pair[0] != pair[1])
    raise UserError(
        f"{folder} was trained with {trained[index]} as class {index}, not {given[index]}; names and order must be the run's"
    )
