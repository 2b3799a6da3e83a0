"""adapter.safetensors + adapter.yaml: what was trained, and what it belongs to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load, save
from torch import Tensor

from peftlab.errors import UserError
from peftlab.record.whole import WAY_OUT, check_whole
from peftlab.record.whole_file import whole_file
from peftlab.record.yaml_file import read_yaml

WEIGHTS, CARD = "adapter.safetensors", "adapter.yaml"
# what a card must say, and of which kind
KEYS = {"backbone": str, "backbone_hash": str, "class_names": list, "cells": dict}


def write_adapter(folder: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Both files, each atomically."""
    with whole_file(folder / WEIGHTS) as part:
        part.write_bytes(save({name: value.cpu().contiguous() for name, value in tensors.items()}))
    with whole_file(folder / CARD) as part:
        part.write_text(yaml.safe_dump(dict(card), sort_keys=False), encoding="utf-8")


def read_adapter(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the card.

    Raises:
        UserError: if a file is missing, damaged or not the one that the run wrote, or a number in it is not finite.
    """
    for name in (WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; legal: the folder of a finished run")
    try:
        tensors = load((folder / WEIGHTS).read_bytes())
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{folder / WEIGHTS} cannot be read ({reason}); the file is damaged; {WAY_OUT}"
        ) from error
    card = read_yaml(folder / CARD, "card")
    check_whole(folder, WEIGHTS, CARD)
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(f"{folder / WEIGHTS}: {name} has a number that is not finite; {WAY_OUT}")
    return tensors, _checked(card, folder / CARD)


def _checked(card: dict[str, Any], path: Path) -> dict[str, Any]:
    wrong = [key for key, kind in KEYS.items() if not isinstance(card.get(key), kind)]
    cells = card.get("cells")
    if isinstance(cells, dict) and not all(
        isinstance(own, dict) and all(isinstance(options, dict) for options in own.values())
        for own in cells.values()
    ):
        wrong.append("cells")
    if wrong:
        raise UserError(f"{path} says no {wrong[0]}; the file is damaged; {WAY_OUT}")
    return card
