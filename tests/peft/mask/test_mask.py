"""What every mask keeps: trained entries alone move, the file holds the mask, and a resumed run has the same one."""

import json
import signal

import pytest
import torch
from safetensors.torch import load_file

import peftlab
from peftlab.build.experiment import build
from peftlab.build.scorer import Scorer
from peftlab.config.file import config_text
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.fit.fit import fit
from peftlab.model.model import Model
from peftlab.record.record import Record
from peftlab.run.finish import save_adapter
from peftlab.run.run import run
from peftlab.run.state import Run

MASKS = ("mask_fisher", "mask_magnitude", "mask_random", "mask_heads", "mask_neurons")
SMALL = ("backbone=tiny", "device=cpu", "fit.epochs=2", "fit.batch_size=64", "peft.keep_ratio=0.2")
FEW = "peft.num_samples=8"
DECAY = ("optim=adamw", "optim.lr=0.01", "optim.weight_decay=0.1", "optim.selected_decay=0.1")


def few(name):
    """The words of a mask that scores few images."""
    return (f"peft={name}",) if name == "mask_random" else (f"peft={name}", FEW)


def trained(config):
    """A whole training, step by step; how often it stepped."""
    experiment = build(resolve(config))
    assert experiment.learner.outer is None
    steps = fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0)
    return experiment, sum(1 for _ in steps)


@pytest.mark.parametrize("name", MASKS)
def test_an_unselected_weight_is_bit_identical_after_adamw_with_weight_decay(composed, name):
    experiment, num_steps = trained(composed(*SMALL, *DECAY, *few(name)))
    assert num_steps == 10
    cell, backbone = experiment.cell, experiment.trunk.backbone
    frozen = dict(backbone.model.named_parameters())
    num_moved = 0
    for key, value in cell.selected.weights().items():
        mask = mask_of(cell, key, frozen[key])
        assert torch.equal(value.view(torch.int32)[~mask], frozen[key].view(torch.int32)[~mask]), key
        num_moved += int((value != frozen[key])[mask].sum())
    numbers = cell.num_parameters()
    assert 0.9 * numbers["selected"] < num_moved <= numbers["selected"]
    k = backbone.num_weights * 2 // 10 - numbers["head"]
    largest = {"mask_heads": 536, "mask_neurons": 33}.get(name, 1)  # of a group
    assert k - largest < numbers["selected"] <= k


def mask_of(cell, name, frozen):
    """True at the trained entries of a whole parameter, put together from the parts of a fused one."""
    mask = torch.zeros_like(frozen, dtype=torch.bool)
    for key, index in cell.selected.indices().items():
        stem, _, part = key.partition("_part")
        if stem == name.replace(".", "_"):
            piece = mask.chunk(3)[int(part)] if part else mask
            piece.view(-1)[index] = True
    assert mask.any()
    return mask


@pytest.mark.parametrize("name", MASKS)
def test_saved_and_loaded_without_a_training_image(composed, tmp_path, name):
    config = composed(*SMALL, *DECAY, *few(name), "placement.depth=1")
    config["peft"]["keep_ratio"] = 0.1
    experiment, _ = trained(config)
    backbone = experiment.trunk.backbone
    model = Model(backbone, experiment.cell).eval()
    card = {
        "backbone": backbone.name,
        "backbone_hash": backbone.hash,
        **experiment.task.card(),
    }
    save_adapter(tmp_path, experiment.cell, experiment.placed, card)
    (tmp_path / "config.yaml").write_text(config_text(config))
    images = torch.randn(4, 3, 32, 32)
    loaded = peftlab.load(tmp_path)
    assert torch.equal(loaded(images), model(images))
    masks, again = model.cell.selected.indices(), loaded.cell.selected.indices()
    assert masks.keys() == again.keys()
    assert all(torch.equal(again[key], index) for key, index in masks.items())
    assert not any(key.startswith("blocks_0") for key in masks)


def test_a_mask_of_another_shape_is_refused(recipe, family, adapt):
    config = recipe("mask_random", **{"peft.keep_ratio": 0.2})
    with pytest.raises(UserError, match=r"mask of blocks\.1\.mlp\.fc1\.bias does not fit the 64 entries"):
        adapt(config, family("plain"), indices={"blocks_1_mlp_fc1_bias": torch.tensor([64])})


def go(folder, config):
    record = Record(folder, {}, config)
    try:
        run(resolve(config), record, None)
    finally:
        record.release()
    return json.loads((folder / "result.json").read_text())["metrics"]


def test_masks_are_the_same_when_a_run_is_built_again(composed):
    config = composed(*SMALL, *few("mask_fisher"))
    first, second = (build(resolve(config)).cell.selected.indices() for _ in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.slow
def test_a_resumed_run_keeps_its_mask_even_if_the_scores_would_differ(composed, tmp_path, monkeypatch):
    """As on a GPU, where the same gradients may come out with other last digits."""
    config = composed(*SMALL, *DECAY, *few("mask_fisher"), "fit.select=best")
    whole = go(tmp_path / "whole", config)
    log = Run.log

    def stopping(self, at, row):
        log(self, at, row)
        if at == 4 and "train/loss" in row:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", stopping)
        with pytest.raises(SystemExit):
            go(tmp_path / "parts", config)

    def others(self, num, size=1):
        name = "patch_embed.proj.weight"
        zeros = {key: torch.zeros_like(value) for key, value in self.backbone.model.named_parameters()}
        yield {**zeros, name: torch.ones_like(zeros[name])}

    monkeypatch.setattr(Scorer, "gradients", others)
    assert build(resolve(config)).cell.selected.indices().keys() != build_of(tmp_path / "whole").keys()
    assert go(tmp_path / "parts", config) == whole
    files = [load_file(tmp_path / name / "adapter.safetensors") for name in ("whole", "parts")]
    assert files[0].keys() == files[1].keys()
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])


def build_of(folder):
    return peftlab.load(folder).cell.selected.indices()


def test_scores_need_a_gradient(composed):
    config = composed(*SMALL, *few("mask_fisher"), "head=linear", "head.init=zeros")
    with pytest.raises(UserError, match="no gradient reaches the backbone at the start"):
        build(resolve(config))


def hybrid(recipe, **parts):
    """The config of a sum of two parts."""
    target = {"_target_": "peftlab.peft.part.Hybrid", "cuts": {}}
    return {**recipe("lora"), "peft": {**target, "parts": parts}}


def test_two_parts_cannot_train_the_same_weight(recipe, family, adapt):
    mask = recipe("mask_random", **{"peft.keep_ratio": 0.2})["peft"]
    with pytest.raises(UserError, match=r"two parts of the method train \w+, which has one value"):
        adapt(hybrid(recipe, a=mask, b=recipe("bitfit")["peft"]), family("plain"))


def test_a_mask_beside_a_delta(recipe, family, adapt):
    """Heads in the attention, LoRA in the MLP."""
    mask = recipe("mask_heads", **{"peft.keep_ratio": 0.1})["peft"]
    lora = {**recipe("lora")["peft"], "positions": ["mlp1", "mlp2"]}
    model, _ = adapt(hybrid(recipe, a=mask, b=lora), family("plain"))
    assert {site.position for site in model.sites} == {"mlp1", "mlp2"}
    assert model.cell.selected.indices()
    assert all("attn" in key for key in model.cell.selected.indices())
