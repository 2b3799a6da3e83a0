"""last/: all that a run needs to go on as if it had never stopped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from peftlab.errors import UserError
from peftlab.record.whole_file import whole_file

FILE = Path("last", "state.pt")


def save_last(folder: Path, identity: Mapping[str, str], step: int, state: Mapping[str, Any]) -> None:
    """The state of a run after `step` steps, in one atomic file.

    Random streams and the sampler's position are functions of (seed, step), so the step is all they need.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as part:
        torch.save({"identity": dict(identity), "step": step, **state}, part)


def saved_masks(folder: Path) -> dict[str, Tensor] | None:
    """The masks that the run in this folder started with, which a GPU may not choose a second time; None before a save."""
    path = folder / FILE
    if not path.is_file():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # reads no more than the masks
    cell = state["learner"]["cell"] if "learner" in state else {}
    return {key[6:]: value.clone() for key, value in cell.items() if key.startswith("index.")}


def load_last(folder: Path, identity: Mapping[str, str]) -> dict[str, Any] | None:
    """The inverse of `save_last`; None if there is nothing to load.

    Raises:
        UserError: if the config, the data split or the backbone is not the one that the run started with.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    changed = [key for key in identity if state["identity"].get(key) != identity[key]]
    if changed:
        raise UserError(
            f"{folder}: the {changed[0]} is no longer the one that this run started with; resume=false starts over"
        )
    return state
