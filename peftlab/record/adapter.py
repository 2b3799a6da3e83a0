"""adapter.safetensors + adapter.yaml: what was trained, and what it belongs to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from peftlab.errors import UserError
from peftlab.record.whole_file import whole_file
from peftlab.record.yaml_file import read_yaml

WEIGHTS, CARD = "adapter.safetensors", "adapter.yaml"


def write_adapter(folder: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Both files, each atomically."""
    with whole_file(folder / WEIGHTS) as part:
        save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, part)
    with whole_file(folder / CARD) as part:
        part.write_text(yaml.safe_dump(dict(card), sort_keys=False))


def read_adapter(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the card.

    Raises:
        UserError: if a file is missing or damaged.
    """
    for name in (WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; legal: the folder of a finished run")
    try:
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:
        raise UserError(f"{folder / WEIGHTS} cannot be read ({error}); the file is damaged") from error
    return tensors, read_yaml(folder / CARD, "card")
