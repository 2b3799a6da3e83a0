"""Where the head of a run goes: into timm's classifier if it is an affine map, else into a file of its own."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peftlab.backbone.timm.plain import classifiers, plain_model
from peftlab.build.model import build_head
from peftlab.model.load import Trained

FILE = "head.safetensors"


def num_outputs(trained: Trained) -> int:
    """`num_classes` of the timm model: 0 if the head is no affine map, so that the model gives features."""
    return len(trained.card["class_names"]) if kind(trained.config) == "linear" else 0


def kind(config: dict[str, Any]) -> str:
    """linear, cosine, ..."""
    return str(config["head"]["_target_"]).rsplit(".", 1)[-1].lower()


def classifier_state(trained: Trained) -> dict[str, Tensor]:
    """The head under the names of timm's classifier; {} if it is no affine map."""
    count = num_outputs(trained)
    if not count:
        return {}
    head = {name: value.detach().clone() for name, value in trained.model.head.state_dict().items()}
    names = classifiers(plain_model(trained.config["backbone"], count))
    return {f"{name}.{key}": value.clone() for name in names for key, value in head.items()}


def save_head(trained: Trained, folder: Path) -> None:
    """The head in a file of its own, if it is no affine map."""
    if not num_outputs(trained):
        state = {name: value.detach().clone() for name, value in trained.model.head.state_dict().items()}
        save_file(state, folder / FILE)


def read_head(trained: Trained, folder: Path) -> nn.Module:
    """The head of `save_head`."""
    head = build_head(trained.config, trained.backbone, len(trained.card["class_names"]), None)
    head.load_state_dict(load_file(folder / FILE))
    return head.eval()
