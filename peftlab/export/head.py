"""Where the head of a run goes: into timm's classifier if it is an affine map, else into a file of its own."""

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peftlab.backbone.timm.plain import classifiers, plain_model
from peftlab.model.load import Trained, empty_head

FILE = "head.safetensors"


def num_outputs(trained: Trained) -> int:
    """`num_classes` of the timm model: 0 if the head is no affine map, so that the model gives features.

    0 for every network of Hugging Face, whose classifiers do not read the features that are pooled here.
    """
    reads_texts = trained.backbone.input_spec.noun == "texts"
    return (
        len(trained.card["class_names"]) if trained.resolved.head.word == "linear" and not reads_texts else 0
    )


def writes(trained: Trained) -> bool:
    """Whether the head is the output embedding of the network itself, which writes texts."""
    return trained.resolved.head.word == "unembedding"


def has_file(trained: Trained) -> bool:
    """Whether the head is in a file of its own: it is in no classifier, and not in the network."""
    return not num_outputs(trained) and not writes(trained)


def classifier_state(trained: Trained) -> dict[str, Tensor]:
    """The head under the names of timm's classifier; {} if it is no affine map."""
    count = num_outputs(trained)
    if not count:
        return {}
    head = {name: value.detach().clone() for name, value in trained.model.head.state_dict().items()}
    names = classifiers(plain_model(trained.resolved.backbone.options, count))
    return {f"{name}.{key}": value.clone() for name in names for key, value in head.items()}


def save_head(trained: Trained, folder: Path) -> None:
    """The head in a file of its own, if it needs one."""
    if has_file(trained):
        state = {name: value.detach().clone() for name, value in trained.model.head.state_dict().items()}
        save_file(state, folder / FILE)


def read_head(trained: Trained, folder: Path) -> nn.Module:
    """The head of `save_head`."""
    head = empty_head(trained.resolved, trained.backbone, len(trained.card["class_names"]))
    if not has_file(trained):
        return head
    head.load_state_dict(load_file(folder / FILE))
    return head.eval()
