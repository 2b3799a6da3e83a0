"""--to timm: one plain state dict."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from peftlab.export.head import classifier_state, num_outputs, save_head
from peftlab.export.merge import merge, merged_sites
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
    return {"num_classes": num_outputs(trained), **merged_sites(trained)}


def read_timm(folder: Path) -> dict[str, Tensor]:
    """The state dict in the folder."""
    return load_file(folder / FILE)
