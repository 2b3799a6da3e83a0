"""The numbers of a Hugging Face model, from its model.safetensors."""

import hashlib
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.folder import WEIGHTS
from peftlab.errors import UserError

OLD = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}  # of BERT's first files
# what a file has beside the encoder: heads of pre-training and of tasks, and tables that are made anew
UNUSED = (
    *("pooler.", "cls.", "lm_head.", "classifier.", "pre_classifier.", "qa_outputs."),
    *("vocab_transform.", "vocab_layer_norm.", "vocab_projector."),
)
MADE_ANEW = ("embeddings.position_ids", "embeddings.token_type_ids")


def load_weights(model: nn.Module, family: Family, folder: Path, name: str, sha256: str | None) -> None:
    """Put the file's numbers into the encoder `model`; heads in the file are left out.

    Raises:
        UserError: for a file that is damaged, another one than `sha256` says, or of another network.
    """
    file = folder / WEIGHTS
    if sha256 is not None and hashlib.sha256(file.read_bytes()).hexdigest() != sha256:
        raise UserError(
            f"backbone.name={name}: {WEIGHTS} does not have sha256 {sha256}: the file is damaged or another one"
        )
    try:
        given = load_file(file)
    except Exception as error:  # damaged: safetensors raises its own kind
        raise UserError(
            f"backbone.name={name}: {WEIGHTS} cannot be read ({error}); legal: a whole file of tensors"
        ) from error
    state, wanted = _own(given, family), model.state_dict()
    state = {
        key: value.float() for key, value in state.items() if key in wanted or not key.startswith(UNUSED)
    }
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = sorted(key for key in wanted.keys() & state.keys() if wanted[key].shape != state[key].shape)
    if missing or extra or shapes:
        raise UserError(
            f"backbone.name={name}: {WEIGHTS} does not fit config.json: {len(missing)} weights missing {missing[:3]},"
            f" {len(extra)} not in the model {extra[:3]}, {len(shapes)} of another shape {shapes[:3]}"
        )
    model.load_state_dict(state, strict=True)


def _own(given: dict[str, Tensor], family: Family) -> dict[str, Tensor]:
    """By the names of the encoder alone: those of a model with a head begin with the family's prefix."""
    has_head = any(key.startswith(family.prefix) for key in given)
    found = {}
    for key, value in given.items():
        own = key.removeprefix(family.prefix)
        for old, new in OLD.items():
            own = own.removesuffix(old) + new if own.endswith(old) else own
        if own not in MADE_ANEW and (key.startswith(family.prefix) or not has_head):
            found[own] = value
    return found
