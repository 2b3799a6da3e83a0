"""--to timm: one plain state dict."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from peftlab.export.head import classifier_state, num_outputs, save_head
from peftlab.export.merge import merge
from peftlab.model.load import Trained

FILE = "model.safetensors"


def to_timm(trained: Trained, folder: Path) -> dict[str, Any]:
    """model.safetensors for `timm.create_model(name, num_classes=...)`; says in the card what was merged.

    Raises:
        UserError: if a site cannot be folded into a weight.
    """
    state = {**merge(trained), **classifier_state(trained)}
    save_file({name: value.contiguous().clone() for name, value in state.items()}, folder / FILE)
    save_head(trained, folder)
    merged: dict[str, list[str]] = {}
    for site in trained.model.sites:
        merged.setdefault(type(trained.model.delta_at(site)).__name__, []).append(str(site))
    return {
        "num_classes": num_outputs(trained),
        "merged": merged,
        "selected_weights": sorted(trained.model.cell.selected.weights()),
    }


def read_timm(folder: Path) -> dict[str, Tensor]:
    """The state dict in the folder."""
    return load_file(folder / FILE)
