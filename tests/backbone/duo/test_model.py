"""backbone=duo: two backbones and a map between them."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.configs import composed
from safetensors.torch import save_file

from peftlab.backbone.choice import called, check_choice, random_of, shapes_of
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.option import Choice


def choice(**keys: Any) -> Choice:
    found = resolve(composed("backbone=tiny_duo", "task=contrast")).backbone
    return Choice(found.target, {**found.options, **keys})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = torch.Generator().manual_seed(3)
    tensors = {
        "weight": torch.randn(16, 32, generator=rng).half(),
        "bias": torch.randn(16, generator=rng).half(),
        "scale": torch.tensor(31.0),
    }
    save_file(tensors, tmp_path / "duo.safetensors")
    return tmp_path / "duo.safetensors"


def test_the_map_and_the_scale_are_those_of_the_file(file: Path) -> None:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    backbone = choice(checkpoint=str(file), sha256=sha256)()
    proj = backbone.model.image.proj
    rng = torch.Generator().manual_seed(3)
    assert torch.equal(proj.weight, torch.randn(16, 32, generator=rng).half().float())
    assert backbone.similarity.tolist() == [31.0, 0.0]
    assert not any(value.requires_grad for value in backbone.model.parameters())
    assert not backbone.model.training


def test_the_hash_is_of_both_towers_the_map_and_the_scale(file: Path) -> None:
    plain = choice()().hash
    assert plain == choice()().hash
    assert len({plain, choice(checkpoint=str(file))().hash, choice(scale=11.0)().hash}) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": torch.zeros(16, 31)}, r"its weight is no \(16, 32\)"),
        ({"bias": None}, r"its bias is no \(16,\)"),
        ({"scale": torch.zeros(2)}, r"its scale is no \(\)"),
    ],
)
def test_a_map_of_other_towers(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    tensors = {"weight": torch.zeros(16, 32), "bias": torch.zeros(16), "scale": torch.ones(()), **change}
    save_file({key: value for key, value in tensors.items() if value is not None}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=words):
        choice(checkpoint=str(tmp_path / "x.safetensors"))()


def test_what_is_refused(tmp_path: Path, file: Path) -> None:
    with pytest.raises(UserError, match=r"backbone\.depth=3, but tiny_duo has two towers; legal: null"):
        choice(depth=3)()
    with pytest.raises(UserError, match="does not have sha256 " + "0" * 64):
        choice(checkpoint=str(file), sha256="0" * 64)()
    with pytest.raises(UserError, match="is not a file"):
        check_choice(choice(checkpoint=str(tmp_path / "none.safetensors")))
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(UserError, match="is no file of weights, or not a whole one"):
        check_choice(choice(checkpoint=str(broken)))
    with pytest.raises(UserError, match="cannot be read"):
        choice(checkpoint=str(broken))()


def test_a_wrong_tower_is_named() -> None:
    image = choice().options["image"]
    wrong = Choice(image.target, {**image.options, "name": "vit_none"})
    with pytest.raises(UserError, match=r"backbone\.name=vit_none is not a timm model"):
        check_choice(choice(image=wrong))


def test_shapes_are_those_of_the_model() -> None:
    own, shapes = choice()(), shapes_of(choice())
    assert shapes.labels == own.labels
    assert shapes.places == own.places
    assert shapes.outside == own.outside
    assert {name: value.shape for name, value in shapes.model.named_parameters()} == {
        name: value.shape for name, value in own.model.named_parameters()
    }
    assert all(value.is_meta for value in shapes.model.parameters())


def test_random_weights_are_asked_of_both(file: Path) -> None:
    assert random_of(choice(checkpoint=str(file), sha256="0" * 64)).hash == choice()().hash
    found = choice()
    assert called({"_target_": found.target, **found.options}) == "tiny_duo"


def test_a_network_without_a_class_token_gives_its_features() -> None:
    image = choice().options["image"]
    args = {**image.options["model_args"], "class_token": False, "global_pool": "avg"}
    backbone = choice(image=Choice(image.target, {**image.options, "model_args": args}))()
    images = torch.randn(2, 3, 32, 32)
    tower = backbone.model.image
    assert tower.proj.weight.shape == (16, 16)
    torch.testing.assert_close(backbone.features({"images": images}), tower.proj(tower.trunk(images)))
