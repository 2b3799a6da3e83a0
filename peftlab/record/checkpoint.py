"""last/: all that a run needs to go on as if it had never stopped."""

from pathlib import Path
from typing import Any

import torch

from peftlab.build.build import Experiment
from peftlab.errors import UserError
from peftlab.record.whole_file import whole_file


def save_last(
    folder: Path, experiment: Experiment, identity: dict[str, str], step: int, best: dict[str, Any] | None
) -> None:
    """theta, its masks, gamma, every optimizer, the outer loop, the best weights so far and the step, in one atomic file.

    Random streams and the sampler's position are functions of (seed, step), so the step is all they need.
    """
    model = experiment.model
    state = {
        "identity": identity,
        "step": step,
        "theta": {name: value.detach().cpu() for name, value in model.theta().items()},
        "masks": {key: value.cpu() for key, value in model.selected.indices().items()},
        "gamma": None if model.gamma.raw is None else model.gamma.raw.detach().cpu(),
        "optimizers": [optimizer.state_dict() for optimizer in experiment.optimizers],
        "outer": None if experiment.outer is None else experiment.outer.state_dict(),
        "best": best,
    }
    path = folder / "last" / "state.pt"
    path.parent.mkdir(exist_ok=True)
    with whole_file(path) as part:
        torch.save(state, part)


def saved_masks(folder: Path) -> dict[str, torch.Tensor] | None:
    """The masks that the run in this folder started with, which a GPU may not choose a second time; None before a save."""
    path = folder / "last" / "state.pt"
    if not path.is_file():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # reads no more than the masks
    return {key: value.clone() for key, value in state["masks"].items()}


def load_last(
    folder: Path, experiment: Experiment, identity: dict[str, str]
) -> tuple[int, dict[str, Any] | None]:
    """The inverse; (0, None) if there is nothing to load.

    Raises:
        UserError: if the data split or the backbone is not the one that the run started with.
    """
    path = folder / "last" / "state.pt"
    if not path.is_file():
        return 0, None
    state = torch.load(path, map_location="cpu", weights_only=True)
    changed = [key for key in identity if state["identity"].get(key) != identity[key]]
    if changed:
        raise UserError(
            f"{folder}: the {changed[0]} is no longer the one that this run started with; resume=false starts over"
        )
    model = experiment.model
    load_theta(model, state["theta"], state["gamma"])
    for optimizer, saved in zip(experiment.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    if experiment.outer is not None:
        experiment.outer.load_state_dict(state["outer"])
    return int(state["step"]), state["best"]


def load_theta(model: Any, theta: dict[str, torch.Tensor], gamma: torch.Tensor | None) -> None:
    """Copy saved values into the model.

    Raises:
        UserError: for any key that is missing or too many, or a tensor of another shape.
    """
    own = dict(model.theta())
    if model.gamma.raw is not None:
        own["gamma.raw"] = model.gamma.raw
    saved = {**theta, **({} if gamma is None else {"gamma.raw": gamma})}
    missing, extra = sorted(own.keys() - saved.keys()), sorted(saved.keys() - own.keys())
    if missing or extra:
        raise UserError(
            f"the saved adapter does not fit the model: missing {missing[:3]}, not in the model {extra[:3]}"
        )
    for name, value in own.items():
        if value.shape != saved[name].shape:
            raise UserError(
                f"the saved {name} has shape {tuple(saved[name].shape)}, the model's has {tuple(value.shape)}"
            )
        with torch.no_grad():
            value.copy_(saved[name])
