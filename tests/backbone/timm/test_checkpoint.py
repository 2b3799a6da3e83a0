"""What is said of a checkpoint before torch is imported."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from peftlab.backbone.timm.checkpoint import PACKAGED, called, check_checkpoint, checkpoint_path
from peftlab.errors import UserError


def check(checkpoint: object, **more: Any) -> None:
    given = str(checkpoint) if checkpoint is not None else None
    check_checkpoint({"pretrained": False, "checkpoint": given, "sha256": None, **more})


def test_whole_files_of_every_kind_pass(tmp_path: Path) -> None:
    state = {"a": torch.zeros(3), "b": torch.zeros(2, 2)}
    save_file(state, tmp_path / "a.safetensors", metadata={"of": "a"})
    torch.save(state, tmp_path / "b.pt")
    torch.save(state, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "b.pt", "c.pth"):
        check(tmp_path / name)
    check("package:vit_tiny_patch8_32.safetensors", sha256="abc")
    check(None)
    assert checkpoint_path("package:x") == PACKAGED / "x"


@pytest.mark.parametrize("name", ["a.safetensors", "b.pt", "c"])
@pytest.mark.parametrize("content", [b"", b"root:x:0", b"\x03\0\0\0\0\0\0\0[1]", b"PK\3\4", b"\xff" * 99])
def test_another_kind_of_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        UserError, match=r"is no file of weights, or not a whole one; legal: a whole \.safetensors"
    ):
        check(tmp_path / name)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_file_that_was_cut_short(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole.{suffix}"
    state = {"a": torch.zeros(300)}
    save_file(state, whole) if suffix == "safetensors" else torch.save(state, whole)
    (tmp_path / f"cut.{suffix}").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a whole one"):
        check(tmp_path / f"cut.{suffix}")


@pytest.mark.parametrize(
    ("checkpoint", "more", "words"),
    [
        ("nope.pt", {}, "backbone.checkpoint=nope.pt is not a file (/"),
        (
            "package:nope",
            {},
            "backbone.checkpoint=package:nope does not ship with peftlab; legal: package:duo.safetensors, package:vit_tiny",
        ),
        (
            "a.pt",
            {"pretrained": True},
            "backbone.pretrained=true and backbone.checkpoint=a.pt exclude each other",
        ),
        (None, {"sha256": "abc"}, "backbone.sha256=abc has no file to check; legal: null"),
    ],
)
def test_one_place_that_is_there(checkpoint: str | None, more: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as refused:
        check(checkpoint, **more)
    assert str(refused.value).startswith(words)


def test_packaged_weights_have_a_name_of_their_own() -> None:
    name = "vit_tiny_patch16_224"
    assert (
        called({"name": name, "checkpoint": "package:vit_tiny_patch8_32.safetensors"}) == "vit_tiny_patch8_32"
    )
    for checkpoint in (None, "own.pt"):
        assert called({"name": name, "checkpoint": checkpoint}) == name
    assert called({}) is None
