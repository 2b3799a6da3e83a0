"""A model with other numbers, as a folder that transformers, sentence-transformers and `backbone=hf` read."""

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.hf.folder import CONFIG, LENGTH, POOLING, TOKENIZER, WEIGHTS, json_of
from peftlab.backbone.hf.model import hf_model
from peftlab.backbone.hf.tokenizer import FileTokenizer
from peftlab.errors import UserError

POOLER = (
    "pooler."  # what BERT has behind its last block, which is asked for by transformers and by nobody here
)
# what sentence-transformers reads beside the model
MODULES = "modules.json"
STEPS = (("Transformer", ""), ("Pooling", POOLING.partition("/")[0]))
POOLINGS = {"read_mean": "pooling_mode_mean_tokens", "read_first": "pooling_mode_cls_token"}
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


def write_hf(backbone: Backbone, state: dict[str, Tensor], max_length: int, folder: Path) -> None:
    """config.json, model.safetensors (`state`, by the names of transformers' AutoModel), the tokenizer, and how texts of at most
    so many tokens become features."""
    source = source_folder(backbone, "--to hf")
    config = {key: value for key, value in (json_of(source / CONFIG) or {}).items() if key != "torch_dtype"}
    config |= {"architectures": [type(backbone.model).__name__], "dtype": "float32"}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    whole = {**_pooler(source), **state}
    save_file(
        {key: value.contiguous().clone() for key, value in whole.items()}, folder / WEIGHTS, {"format": "pt"}
    )
    for name in (TOKENIZER, *WORDS):
        if (source / name).is_file():
            shutil.copy(source / name, folder / name)
    pooling = {"word_embedding_dimension": backbone.num_features}
    pooling |= {key: name == backbone.read.__name__ for name, key in POOLINGS.items()}
    (folder / POOLING).parent.mkdir()
    (folder / POOLING).write_text(json.dumps(pooling, indent=2) + "\n")
    (folder / LENGTH).write_text(json.dumps({"max_seq_length": max_length}, indent=2) + "\n")
    steps = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{step}"}
        for index, (step, path) in enumerate(STEPS)
    ]
    (folder / MODULES).write_text(json.dumps(steps, indent=2) + "\n")


def read_hf(folder: Path) -> Backbone:
    """The model of such a folder, with the pooling and the length that its files say."""
    options: dict[str, Any] = {"sha256": None, "depth": None, "pool": None, "max_length": None}
    return hf_model(name=str(folder.absolute()), pretrained=True, **options)


def copy_of(backbone: Backbone, state: dict[str, Tensor]) -> nn.Module:
    """The same network with these weights, and none of the backbone's own changed."""
    network = deepcopy(backbone.model)
    network.load_state_dict(state, strict=True)
    return network


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
