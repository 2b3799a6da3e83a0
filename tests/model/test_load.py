"""A saved adapter is the whole of what was trained, and fits nothing else."""

import json

import pytest
import torch
import yaml
from fixtures.exported import save
from safetensors.torch import load_file, save_file

import peftlab
from peftlab.errors import UserError
from peftlab.model.load import load
from peftlab.record.adapter import CARD, WEIGHTS

NAMES = ["zero", "one", "two"]
IMAGES = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def write(folder, config):
    """A run folder whose every trained tensor is random; returns its logits in eval mode."""
    return save(folder, config, NAMES)(IMAGES)


@pytest.fixture
def folder(recipe, tmp_path):
    write(tmp_path / "run", recipe("lora", "meta"))
    return tmp_path / "run"


def test_a_prefix_loses_its_mlp_and_keeps_its_function(recipe, tmp_path):
    """methods.md 2.4: the re-parametrisation is dropped after training."""
    logits = write(tmp_path / "run", recipe("prefix", "learned", **{"peft.mlp": 7}))
    model = peftlab.load(tmp_path / "run")
    assert torch.equal(model(IMAGES), logits)
    assert {name.split(".")[-1] for name in model.theta() if name.startswith("deltas")} == {"P"}


@pytest.mark.parametrize(
    ("method", "scaling"),
    [
        ("lora", "fixed"),
        ("lora", "meta"),
        ("lora", "learned"),
        ("adaptformer", "meta"),
        ("adapter_houlsby", "fixed"),
        ("bitfit", "fixed"),
        ("full", "fixed"),
        ("linear_probe", "fixed"),
        ("dylora", "gated"),
        ("prefix", "gated"),
        ("mh_pa", "learned"),
        ("vpt_deep", "meta"),
        ("gated_prompt", "fixed"),
        ("mam", "meta"),
        ("unipelt", "gated"),
        ("ssf", "fixed"),
        ("ia3", "learned"),
    ],
)
def test_logits_come_back_bit_for_bit(recipe, tmp_path, method, scaling):
    logits = write(tmp_path / "run", recipe(method, scaling))
    model = peftlab.load(tmp_path / "run")
    assert torch.equal(model(IMAGES), logits)
    assert not model.training
    assert torch.equal(load(str(tmp_path / "run"), NAMES)(IMAGES), logits)


def test_cells_with_ranks_of_their_own_come_back(recipe, tmp_path):
    config = recipe("lora", cells={"0.q": {"rank": 2, "scale": 3.0}, "1.mlp1": {}})
    logits = write(tmp_path / "run", config)
    assert torch.equal(load(tmp_path / "run")(IMAGES), logits)


def test_nothing_of_the_backbone_is_in_the_file_and_no_part_is_left(folder):
    keys = load_file(folder / WEIGHTS).keys()
    assert {key.split(".")[0] for key in keys} == {"deltas", "head", "gamma"}
    assert sorted(file.name for file in folder.iterdir()) == sorted([WEIGHTS, CARD, "config.yaml"])


def test_saving_leaves_the_model_alone_and_overwrites(recipe, folder):
    logits = write(folder, recipe("lora", "meta"))
    assert torch.equal(load(folder)(IMAGES), logits)


def change(folder, edit):
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda t: t.pop("deltas.0_q.A"), r"missing \['deltas.0_q.A'\], not in the model \[\]"),
        (lambda t: t.pop("head.weight"), r"missing \['head.weight'\]"),
        (lambda t: t.pop("gamma.raw"), r"missing \['gamma.raw'\]"),
        (lambda t: t.update(extra=torch.zeros(1)), r"missing \[\], not in the model \['extra'\]"),
        (lambda t: t.update({"deltas.0_q.A": torch.zeros(2, 16)}), r"deltas.0_q.A has shape \(2, 16\)"),
        (lambda t: t.update({"head.weight": torch.zeros(4, 16)}), r"head.weight has shape \(4, 16\)"),
    ],
)
def test_keys_and_shapes_must_be_the_model_s(folder, edit, match):
    change(folder, edit)
    with pytest.raises(UserError, match=match):
        load(folder)


def test_a_gamma_too_many(recipe, tmp_path):
    write(tmp_path / "run", recipe("lora", "fixed"))
    change(tmp_path / "run", lambda tensors: tensors.update({"gamma.raw": torch.zeros(12)}))
    with pytest.raises(UserError, match=r"not in the model \['gamma.raw'\]"):
        load(tmp_path / "run")


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["one", "zero", "two"], "with zero as class 0, not one"),
        (["zero", "one", "three"], "with two as class 2, not three"),
        (["zero", "one"], "on 3 classes, not 2"),
    ],
)
def test_classes_and_their_order(folder, names, match):
    with pytest.raises(UserError, match=match):
        load(folder, names)


def test_another_backbone(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["backbone"]["model_args"]["act_layer"] = "relu"  # the same weights: only their hash is compared
    config["backbone"]["model_args"]["patch_size"] = 16
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(
        UserError, match=r"was trained on vit_tiny_patch16_224 with hash \w{12}, not \w{12}; random weights"
    ):
        load(folder)


def test_weights_that_were_given_relative_to_another_folder(folder, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    weights = tmp_path / "there" / "w.pt"
    torch.save(load(folder).network.backbone.model.state_dict(), weights)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["backbone"]["checkpoint"] = "w.pt"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"backbone\.checkpoint=w\.pt is not a file \(/"):
        load(folder)
    said = {"identity": {"inputs": {"backbone.checkpoint": {"path": str(weights)}}}}
    (folder / "status.json").write_text(json.dumps(said))
    load(folder)
    monkeypatch.chdir(weights.parent)
    (folder / "status.json").unlink()
    load(folder)


def test_a_missing_config(folder):
    (folder / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"has no config\.yaml; legal: the folder of a finished run"):
        load(folder)


@pytest.mark.parametrize("name", ["from_file", "from_gamma"])
def test_what_the_placement_was_made_from_may_be_gone(recipe, composed, tmp_path, name):
    """The adapter's card has the sites."""
    source = tmp_path / "source"
    source.mkdir()
    if name == "from_file":
        (source / "cells.yaml").write_text("cells: {0.q: {rank: 2}, 1.mlp1: {}}")
        words = ("placement=from_file", f"placement.file={source / 'cells.yaml'}")
    else:
        (source / "status.json").write_text('{"state": "ok"}')
        rows = ["site,block,position,gamma,multiplier,effective,ratio"]
        rows += [f"{block}.{position},{block},{position},{gamma},1,1,1"
                 for block, position, gamma in ((0, "q", 3.0), (1, "mlp1", 2.0), (1, "v", 1.0))]  # fmt: skip
        (source / "gamma.csv").write_text("\n".join(rows) + "\n")
        save(source, recipe("lora", "learned"), NAMES)
        words = ("placement=from_gamma", f"placement.run={source}", "placement.keep=2")
    logits = write(tmp_path / "run", composed("backbone=tiny", "head.init=random", *words))
    for file in source.iterdir():
        file.unlink()
    source.rmdir()
    model = load(tmp_path / "run")
    assert [str(site) for site in model.sites] == ["0.q", "1.mlp1"]
    assert torch.equal(model(IMAGES), logits)


def test_a_config_that_was_damaged_is_refused(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["peft"]["rank"] = "many"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"peft\.rank=many"):
        load(folder)
