"""last/: all that a run needs to go on as if it had never stopped."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from peftlab.errors import UserError
from peftlab.record.rows import Mark
from peftlab.record.whole_file import whole_file

FILE = Path("last", "state.pt")
WAY_OUT = "legal: resume=false, which starts over"


def save_last(
    folder: Path, identity: Mapping[str, str], step: int, rows: Mark, state: Mapping[str, Any]
) -> None:
    """The state of a run after `step` steps, in one atomic file, with its own hash; `rows` says where metrics.jsonl is.

    Random streams and the sampler's position are functions of (seed, step), so the step is all they need. A state that is
    not finite is not saved: who goes on from the one before comes to it again.
    """
    whole = {"identity": dict(identity), "step": step, "rows": dict(rows), **state}
    if _not_finite(whole) is not None:
        return
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as part, part.open("wb") as file:
        try:
            torch.save({"sha256": _sha256(whole), **whole}, file)
        except RuntimeError as error:  # torch's word for a disk that is full
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def saved_masks(folder: Path) -> dict[str, Tensor] | None:
    """The masks that the run in this folder started with, which a GPU may not choose a second time; None before a save.

    Raises:
        UserError: if the file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    state = _read(folder / FILE, mmap=True)  # no more than the masks
    cell = state["learner"]["cell"] if "learner" in state else {}
    return {key[6:]: value.clone() for key, value in cell.items() if key.startswith("index.")}


def load_last(folder: Path, identity: Mapping[str, str]) -> dict[str, Any] | None:
    """The inverse of `save_last`; None if there is nothing to load.

    Raises:
        UserError: if the config, the data split or the backbone is not the one that the run started with, or the file is
            not as it was saved.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    state = _read(path)
    changed = [key for key in identity if state["identity"].get(key) != identity[key]]
    if changed:
        raise UserError(
            f"{folder}: the {changed[0]} is no longer the one that this run started with; resume=false starts over"
        )
    if state.pop("sha256") != _sha256(state):
        raise UserError(f"{path} is not as it was saved: its sha256 is another one; {WAY_OUT}")
    name = _not_finite(state)
    if name is not None:
        raise UserError(f"{path}: {name} has a number that is not finite; {WAY_OUT}")
    return state


def _read(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # empty, cut short, of another kind, or a pickle of more than tensors
        raise UserError(f"{path} cannot be read; the file is damaged; {WAY_OUT}") from error
    wanted = {"sha256": str, "identity": dict, "step": int, "rows": dict, "learner": dict}
    if not isinstance(state, dict) or not all(
        isinstance(state.get(key), kind) for key, kind in wanted.items()
    ):
        raise UserError(f"{path} is not the state of a run, or that of an earlier peftlab; {WAY_OUT}")
    return state


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in the dicts and lists of a state, with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}.{index}")
    else:
        yield name, value


def _not_finite(state: Mapping[str, Any]) -> str | None:
    """The name of the first tensor with a NaN or an infinity."""
    tensors = ((name, value) for name, value in _leaves(state) if isinstance(value, Tensor))
    return next(
        (name for name, value in tensors if value.is_floating_point() and not value.isfinite().all()), None
    )


def _sha256(state: Mapping[str, Any]) -> str:
    """Of all names and values, bit for bit."""
    digest = hashlib.sha256()
    for name, value in _leaves(state):
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{name}\0{value.dtype}{tuple(value.shape)}\0".encode())
            digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
        else:
            digest.update(f"{name}\0{value!r}\0".encode())
    return digest.hexdigest()
