"""A model with other numbers, as a folder that transformers, sentence-transformers and `backbone=hf` read."""

import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.hf.families import FAMILIES
from peftlab.backbone.hf.family import Family
from peftlab.backbone.hf.folder import CONFIG, LENGTH, POOLING, TOKENIZER, WEIGHTS, json_of
from peftlab.backbone.hf.layout import arrange, published
from peftlab.backbone.hf.model import created, hf_model
from peftlab.backbone.hf.tokenizer import FileTokenizer
from peftlab.backbone.hf.weights import HEAD
from peftlab.errors import UserError

POOLER = (
    "pooler."  # what BERT has behind its last block, which is asked for by transformers and by nobody here
)
UNEMBEDDING = "unembedding."
# what sentence-transformers reads beside the model
MODULES = "modules.json"
STEPS = (("Transformer", ""), ("Pooling", POOLING.partition("/")[0]))
POOLINGS = {
    "read_mean": "pooling_mode_mean_tokens",
    "read_first": "pooling_mode_cls_token",
    "read_last": "pooling_mode_lasttoken",
}
WORDS = ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json", "merges.txt")


def source_folder(backbone: Backbone, asked: str) -> Path:
    """Where the files of the model lie.

    Raises:
        UserError: for a network that is none of Hugging Face's.
    """
    tokenizer = backbone.text_spec(asked).tokenizer
    if not isinstance(tokenizer, FileTokenizer):
        raise UserError(f"{asked} is for models of Hugging Face; legal: --to adapter")
    return tokenizer.file.parent


def family_of(backbone: Backbone) -> Family:
    """The family of a network of Hugging Face."""
    network: Any = backbone.model
    return FAMILIES[network.config.model_type]


def prefix_of(backbone: Backbone, writes: bool) -> str:
    """What names begin with in transformers' AutoModel, or in the model with the output embedding if it `writes`."""
    prefix = family_of(backbone).prefix
    return prefix if writes else prefix.partition(".")[2]


def in_library(backbone: Backbone, module: str, rows: Tensor, writes: bool) -> tuple[str, Tensor]:
    """What transformers calls a linear layer of the network, and `rows`, one for each of its outputs, in the order there."""
    ((name, value),) = published(backbone.model, {f"{module}.rows": rows}).items()
    return f"{prefix_of(backbone, writes)}{name.removesuffix('.rows')}", value


def library_state(backbone: Backbone, state: dict[str, Tensor], writes: bool) -> dict[str, Tensor]:
    """Weights of the network by the names and in the layout of transformers, without the output embedding."""
    inner = prefix_of(backbone, writes)
    own = {key: value for key, value in state.items() if not key.startswith(UNEMBEDDING)}
    return {f"{inner}{key}": value for key, value in published(backbone.model, own).items()}


def has_turned_weights(backbone: Backbone) -> bool:
    """Whether the linear layers of transformers' own network have weights as [d_in, d_out]."""
    network: Any = backbone.model
    return bool(network.config.model_type == "gpt2")


def write_hf(backbone: Backbone, state: dict[str, Tensor], max_length: int, folder: Path) -> None:
    """config.json, model.safetensors, the tokenizer, and how texts of at most so many tokens become features.

    `state` has the network's own names. The file has those of transformers' AutoModel, or of a decoder those of the model
    with the output embedding, which AutoModel reads, too. How a decoder behind an encoder is read has no word in
    sentence-transformers, so nothing is written for it.
    """
    source, family = source_folder(backbone, "--to hf"), family_of(backbone)
    config = {key: value for key, value in (json_of(source / CONFIG) or {}).items() if key != "torch_dtype"}
    config |= {"architectures": [family.model], "dtype": "float32"}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    whole = {**_pooler(source), **_named(backbone, state)}
    save_file(
        {key: value.contiguous().clone() for key, value in whole.items()}, folder / WEIGHTS, {"format": "pt"}
    )
    for name in (TOKENIZER, *WORDS):
        if (source / name).is_file():
            shutil.copy(source / name, folder / name)
    (folder / LENGTH).write_text(json.dumps({"max_seq_length": max_length}, indent=2) + "\n")
    if family.decoder is None:
        _write_pooling(backbone, folder)


def _write_pooling(backbone: Backbone, folder: Path) -> None:
    """What sentence-transformers reads."""
    pooling = {"word_embedding_dimension": backbone.num_features}
    pooling |= {key: name == backbone.read.__name__ for name, key in POOLINGS.items()}
    (folder / POOLING).parent.mkdir()
    (folder / POOLING).write_text(json.dumps(pooling, indent=2) + "\n")
    steps = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{step}"}
        for index, (step, path) in enumerate(STEPS)
    ]
    (folder / MODULES).write_text(json.dumps(steps, indent=2) + "\n")


def read_hf(folder: Path) -> Backbone:
    """The model of such a folder, with the pooling and the length that its files say."""
    options: dict[str, Any] = dict.fromkeys(("sha256", "depth", "pool", "max_length", "quantise"))
    return hf_model(name=str(folder.absolute()), pretrained=True, **options)


def network_of(backbone: Backbone, state: dict[str, Tensor], writes: bool) -> nn.Module:
    """A network of its own with the weights of `library_state`."""
    own: Any = backbone.model
    family = family_of(backbone)
    network, _ = created(backbone.name, family, own.config.to_dict())
    inner = prefix_of(backbone, writes)
    network.load_state_dict({key.removeprefix(inner): value for key, value in state.items()}, strict=True)
    arrange(network)
    return network.eval()


def _named(backbone: Backbone, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor once, by the first of its names: an output embedding that is the input's has none of its own."""
    family, tensors = family_of(backbone), backbone.model.state_dict(keep_vars=True)
    first = {id(value): name for name, value in reversed(tensors.items())}
    once = {name: value for name, value in state.items() if first[id(tensors[name])] == name}
    found = published(backbone.model, once)
    if not family.scores_words:
        return found
    return {
        f"{HEAD}{key.removeprefix(UNEMBEDDING)}"
        if key.startswith(UNEMBEDDING)
        else f"{family.prefix}{key}": value
        for key, value in found.items()
    }


def _pooler(source: Path) -> dict[str, Tensor]:
    """As the model's own file has it; of a model of random weights there is none."""
    if not (source / WEIGHTS).is_file():
        return {}
    found = load_file(source / WEIGHTS)
    return {
        key[key.index(POOLER) :]: value.float()
        for key, value in found.items()
        if key.startswith(POOLER) or f".{POOLER}" in key
    }
