"""backbone.checkpoint: which file it is, and what can be said of it before torch is imported."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from peftlab.errors import UserError
from peftlab.inputs.path import expanded

PACKAGED = Path(__file__).resolve().parents[1] / "weights"
PICKLE = b"\x80"  # how files of torch.save begin that are no archives
FORMATS = "legal: a whole .safetensors, or a .pt of plain tensors"


def checkpoint_path(checkpoint: str) -> Path:
    """A file, or `package:FILE`, which ships with peftlab."""
    if checkpoint.startswith("package:"):
        return PACKAGED / checkpoint.removeprefix("package:")
    return expanded(checkpoint)


def called(options: Mapping[str, Any]) -> str | None:
    """What people call a timm backbone of these options: weights of the package by the name of their file, others by timm's."""
    checkpoint, name = options.get("checkpoint"), options.get("name")
    if isinstance(checkpoint, str) and checkpoint.startswith("package:"):
        return checkpoint_path(checkpoint).stem
    return name if isinstance(name, str) else None


def check_checkpoint(options: Mapping[str, Any]) -> None:
    """Of the options of a timm backbone: that its weights come from one place, which is there and of a kind that is read.

    Raises:
        UserError: if not.
    """
    pretrained, checkpoint, sha256 = (options[key] for key in ("pretrained", "checkpoint", "sha256"))
    if pretrained and checkpoint is not None:
        raise UserError(
            f"backbone.pretrained={str(pretrained).lower()} and backbone.checkpoint={checkpoint} exclude each other; legal: one of them"
        )
    if checkpoint is None:
        if sha256 is not None:
            raise UserError(
                f"backbone.sha256={sha256} has no file to check; legal: null, or with backbone.checkpoint"
            )
        return
    path = checkpoint_path(checkpoint)
    if not path.is_file():
        raise UserError(_missing(checkpoint, path))
    try:
        with path.open("rb") as file:
            start = file.read(8)
            known = is_whole(path) if path.suffix == ".safetensors" else start.startswith(PICKLE)
    except OSError as error:
        raise UserError(
            f"backbone.checkpoint={checkpoint} cannot be read ({error.strerror}); {FORMATS}"
        ) from error
    if not (known or (path.suffix != ".safetensors" and is_zipfile(path))):
        raise UserError(
            f"backbone.checkpoint={checkpoint} is no file of weights, or not a whole one; {FORMATS}"
        )


def is_whole(path: Path) -> bool:
    """Whether a file has the header of safetensors, and all the bytes that it promises."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= size - 8:
            return False
        try:
            header = json.loads(file.read(length))
            ends = [item["data_offsets"][1] for name, item in header.items() if name != "__metadata__"]
            return bool(max(ends, default=0) == size - 8 - length)
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            return False


def _missing(checkpoint: str, path: Path) -> str:
    if checkpoint.startswith("package:"):
        own = ", ".join(f"package:{file.name}" for file in sorted(PACKAGED.glob("*.safetensors")))
        return f"backbone.checkpoint={checkpoint} does not ship with peftlab; legal: {own}, or a file"
    return f"backbone.checkpoint={checkpoint} is not a file ({path.absolute()}); {FORMATS}, or null"
