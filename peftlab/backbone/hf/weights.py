"""The numbers of a Hugging Face model, from its model.safetensors."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.folder import WEIGHTS
from peftlab.errors import UserError

HEAD = "lm_head."  # the output embedding
BIAS = "final_logits_bias"  # of BART, behind it
# of BERT's first files, and of GPT-NeoX
OLD = {
    "LayerNorm.gamma": "LayerNorm.weight",
    "LayerNorm.beta": "LayerNorm.bias",
    "embed_out.weight": "lm_head.weight",
}
# what a file has beside the encoder: heads of pre-training and of tasks, and tables that are made anew
UNUSED = (
    *("pooler.", "cls.", "lm_head.", "classifier.", "pre_classifier.", "qa_outputs."),
    *("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "classification_head.", BIAS),
)
MADE_ANEW = (
    *("embeddings.position_ids", "embeddings.token_type_ids"),
    *(".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"),
    "EncDecAttention.relative_attention_bias.weight",  # in T5's first files, and read by nobody
)


def load_weights(
    model: nn.Module,
    unembedding: nn.Module | None,
    family: Family,
    folder: Path,
    name: str,
    sha256: str | None,
) -> nn.Module | None:
    """Put the file's numbers into `model` and its output embedding, which is given back: None if the file has none.

    Other heads in the file are left out.

    Raises:
        UserError: for a file that is damaged, another one than `sha256` says, or of another network.
    """
    given = read_weights(folder, name, sha256)
    state, wanted = _own(given, family), model.state_dict()
    _share(state, model)
    _untie(state, unembedding, model)
    head = {} if unembedding is None else _untied(unembedding, model)
    state = {
        key: value.float()
        for key, value in state.items()
        if key in wanted or key in head or not key.startswith(UNUSED)
    }
    if head and not head.keys() & state.keys():  # a file without heads
        unembedding, head = None, {}
    wanted |= head
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = sorted(key for key in wanted.keys() & state.keys() if wanted[key].shape != state[key].shape)
    if missing or extra or shapes:
        raise UserError(
            f"backbone.name={name}: {WEIGHTS} does not fit config.json: {len(missing)} weights missing {missing[:3]},"
            f" {len(extra)} not in the model {extra[:3]}, {len(shapes)} of another shape {shapes[:3]}"
        )
    for key, value in wanted.items():
        value.copy_(state[key])
    return unembedding


def read_weights(folder: Path, name: str, sha256: str | None) -> dict[str, Tensor]:
    """The tensors of a model.safetensors, by name.

    Raises:
        UserError: for a file that is damaged, or another one than `sha256` says.
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
    if BIAS in given and given[BIAS].any():
        raise UserError(
            f"backbone.name={name}: {WEIGHTS} has numbers other than 0 in {BIAS}, which nothing here adds; legal: zeros"
        )
    return given


def _untied(unembedding: nn.Module, model: nn.Module) -> dict[str, Tensor]:
    """What the output embedding has of its own, by its names in a file."""
    own = {id(value) for value in model.parameters()}
    return {
        f"{HEAD}{key}": value.detach()
        for key, value in unembedding.named_parameters()
        if id(value) not in own
    }


def _untie(state: dict[str, Tensor], unembedding: nn.Module | None, model: nn.Module) -> None:
    """Give an output embedding that is the input's a weight of its own, if the file has another one for it, as transformers does."""
    own, tied = state.get(f"{HEAD}weight"), getattr(unembedding, "weight", None)
    names = (key for key, value in model.named_parameters(remove_duplicate=False) if value is tied)
    given = next((state[key] for key in names if key in state), None)
    if unembedding is not None and own is not None and given is not None and not torch.equal(own, given):
        unembedding.weight = nn.Parameter(torch.empty_like(given, dtype=torch.float32), requires_grad=False)


def _share(state: dict[str, Tensor], model: nn.Module) -> None:
    """Give each name of a weight that has several what the file has for one of them."""
    names: dict[int, list[str]] = {}
    for key, value in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(value), []).append(key)
    for same in names.values():
        found = next((state[key] for key in same if key in state), None)
        state |= {} if found is None else {key: state.get(key, found) for key in same}


def _own(given: dict[str, Tensor], family: Family) -> dict[str, Tensor]:
    """By the names of the network alone: in the file of a model with a head they begin with the family's prefix."""
    has_head = any(key.startswith(family.prefix) for key in given)
    found = {}
    for key, value in given.items():
        own = key.removeprefix(family.prefix)
        for old, new in OLD.items():
            own = own.removesuffix(old) + new if own.endswith(old) else own
        is_own = key.startswith(family.prefix) or own.startswith(HEAD) or not has_head
        if is_own and not own.endswith(MADE_ANEW):
            found[own] = value
    return found
