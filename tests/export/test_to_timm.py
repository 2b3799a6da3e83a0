"""timm alone, from the file alone, gives the run's logits."""

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

import peftlab
from peftlab.build.experiment import build
from peftlab.config.file import read_config
from peftlab.config.resolve import resolve
from peftlab.engine.job import Job
from peftlab.engine.separate import run_job
from peftlab.record.record import Record

IMAGES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
METHODS = [("lora", "learned"), ("dylora", "fixed"), ("ssf", "learned"), ("ia3", "fixed"), ("full", "fixed")]


@pytest.mark.parametrize(("method", "scaling"), METHODS)
@torch.no_grad()
def test_a_linear_head_is_the_model_s_own(run_folder, export, plain, method, scaling):
    folder = run_folder(method, scaling, head="linear")
    out = export(folder, "timm")
    assert sorted(path.name for path in out.folder.iterdir()) == [
        "README.md",
        "export.yaml",
        "model.safetensors",
    ]
    model = plain(read_config(folder), 10)
    model.load_state_dict(load_file(out.folder / "model.safetensors"), strict=True)
    torch.testing.assert_close(model(IMAGES), peftlab.load(folder)(IMAGES), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_cosine_head_is_a_file_and_the_features_are_equal(run_folder, export, plain):
    folder = run_folder("lora", "learned")
    out = export(folder, "timm")
    run, model = peftlab.load(folder), plain(read_config(folder), 0)
    model.load_state_dict(load_file(out.folder / "model.safetensors"), strict=True)
    features = model(IMAGES)
    torch.testing.assert_close(features, run.features(IMAGES), rtol=1e-5, atol=1e-5)
    weight = load_file(out.folder / "head.safetensors")["weight"]
    logits = out.card["head"]["scale"] * F.linear(F.normalize(features, dim=-1), F.normalize(weight, dim=-1))
    torch.testing.assert_close(logits, run(IMAGES), rtol=1e-5, atol=1e-4)
    assert out.card["num_classes"] == 0
    assert out.card["largest_feature_difference"] < 1e-5


def test_the_card_says_what_was_merged(run_folder, export):
    cells = {"0.q": {"rank": 2}, "1.mlp1": {}}
    card = export(run_folder("lora", cells=cells), "timm").card
    assert card["merged"] == {"Lora": ["0.q", "1.mlp1"]}
    assert card["selected_weights"] == []
    card = export(run_folder("bitfit"), "timm").card
    assert card["merged"] == {}
    assert "blocks.0.attn.qkv.bias" in card["selected_weights"]


def test_a_backbone_that_was_trained_here_is_one_to_adapt(composed, export, tmp_path):
    """What the two commands of experiment=pretrain_vit_tiny do, on few images: the second run starts from the first one's features."""
    words = ("backbone=tiny", "device=cpu")
    config = composed(*words, "experiment=pretrain_vit_tiny", "dataset=digits", "fit.epochs=6")
    first = tmp_path / "first"
    run_job(Job(config, Record(first, {}, config), None))
    out = export(first, "timm")
    file = out.folder / "model.safetensors"
    second = build(resolve(composed(*words, f"backbone.checkpoint={file}")))
    with torch.no_grad():
        features = second.trunk.backbone.features({"images": IMAGES})
        torch.testing.assert_close(features, peftlab.load(first).features(IMAGES), rtol=1e-5, atol=1e-5)
    assert second.trunk.backbone.hash != build(resolve(composed(*words))).trunk.backbone.hash
