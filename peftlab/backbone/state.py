"""The tensors of a file of weights, by name."""

import hashlib
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from peftlab.errors import UserError


def read_state(path: Path, checkpoint: str, sha256: str | None) -> dict[str, Tensor]:
    """Name -> tensor, whether they are the file's top level or under its key `model` or `state_dict`.

    Raises:
        UserError: for a file that is damaged, another one than `sha256` says, or holds something else; `checkpoint` is what it
            is called.
    """
    if sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise UserError(
            f"backbone.checkpoint={checkpoint} does not have sha256 {sha256}: the file is damaged or another one"
        )
    try:
        # MAE's files have the arguments of their training
        with torch.serialization.safe_globals([Namespace]):
            state = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # damaged, of another kind, or a pickle of more than tensors
        raise UserError(
            f"backbone.checkpoint={checkpoint} cannot be read ({first_sentence(error)}); legal: .safetensors, or a .pt of plain tensors"
        ) from error
    state = state.get("model", state.get("state_dict", state)) if isinstance(state, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f"backbone.checkpoint={checkpoint} holds no tensors by name; legal: a state dict, alone or as `model` or `state_dict`"
        )
    return state


def fill(model: nn.Module, state: Mapping[str, Tensor], said: str) -> None:
    """Put tensors into a network that has all their names and shapes, and no others.

    Raises:
        UserError: for other ones; it begins with what is `said`.
    """
    wanted = model.state_dict()
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = sorted(key for key in wanted.keys() & state.keys() if wanted[key].shape != state[key].shape)
    if missing or extra or shapes:
        raise UserError(
            f"{said}: {len(missing)} weights missing {missing[:3]}, {len(extra)} not in the model {extra[:3]}, {len(shapes)} of another"
            f" shape {shapes[:3]}"
        )
    model.load_state_dict(state, strict=True)


def first_sentence(error: Exception) -> str:
    """What an exception of a library says, in short."""
    text = str(error).strip()
    return text.splitlines()[0].split(". ")[0].rstrip(".") if text else type(error).__name__
