"""Hugging Face PEFT, the real library, loads the folder on the same timm model and gives the run's logits."""

import json
import warnings

import pytest
import torch
from fixtures.text import DECODERS, ENCODER_DECODERS
from fixtures.text_export import given_by, hidden_of, own_features, pooled
from safetensors.torch import load_file
from torch.nn import functional as F

import peftlab
from peftlab.config.file import read_config
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.export.to_peft import CONFIG, WEIGHTS, read_peft, to_peft

IMAGES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
CELLS = {
    "0.q": {"rank": 2, "scale": 3.0},
    "0.v": {"rank": 5},
    "1.k": {"rank": 1},
    "1.mlp1": {"rank": 7},
    "1.out": {},
}


def wrap(hugging_face, model, folder):
    """The library's own loading; any key that is missing or left over is a warning, so an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings(
            "ignore", ".*is_gradient_checkpointing", FutureWarning
        )  # PEFT asks transformers
        return hugging_face.PeftModel.from_pretrained(model, str(folder)).eval()


def frozen_timm(plain, config, num_classes):
    model = plain(config, num_classes)
    result = model.load_state_dict(resolve(config).backbone().model.state_dict(), strict=False)
    assert all(key.startswith("head") for key in result.missing_keys)
    assert not result.unexpected_keys
    return model


@pytest.mark.parametrize(
    ("scaling", "keys"),
    [
        ("fixed", {}),
        ("fixed", {"scaling.value": 16.0, "scaling.rule": "over_rank"}),
        ("learned", {}),
        ("learned", {"scaling.granularity": "channel"}),
        ("learned", {"cells": CELLS}),
        ("meta", {"cells": CELLS, "scaling.rule": "over_sqrt_rank"}),
        ("fixed", {"placement.position": ["v"], "placement.depth": "1"}),
    ],
)
@torch.no_grad()
def test_logits_equal_the_run_s(hugging_face, run_folder, export, plain, scaling, keys):
    folder = run_folder("lora", scaling, head="linear", **keys)
    out = export(folder, "peft").folder
    run = peftlab.load(folder)
    model = frozen_timm(plain, read_config(folder), 10)
    alone = model(IMAGES)
    found, wanted = wrap(hugging_face, model, out)(IMAGES), run(IMAGES)
    assert (found - alone).abs().max() > 0.01, "nothing was loaded"
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_features_of_a_cosine_head_equal_the_run_s(hugging_face, run_folder, export, plain):
    folder = run_folder("lora", "learned")
    out = export(folder, "peft").folder
    run = peftlab.load(folder)
    model = frozen_timm(plain, read_config(folder), 0)
    features = wrap(hugging_face, model, out)(IMAGES)
    torch.testing.assert_close(features, run.features(IMAGES), rtol=1e-5, atol=1e-5)
    weight = load_file(out / "head.safetensors")["weight"]
    logits = 25 * F.linear(F.normalize(features, dim=-1), F.normalize(weight, dim=-1))
    torch.testing.assert_close(logits, run(IMAGES), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rank", [1, 3, 8])
@torch.no_grad()
def test_dylora_at_a_rank(hugging_face, run_folder, export, plain, rank):
    folder = run_folder("dylora", head="linear", **{"peft.scale": 1.0})
    out = export(folder, "peft", rank=rank)
    assert out.card["rank"] == rank
    assert set(out.card["lora"].values()) == {rank, 3 * rank}
    run = peftlab.load(folder)
    run.at(rank)
    model = frozen_timm(plain, read_config(folder), 10)
    torch.testing.assert_close(
        wrap(hugging_face, model, out.folder)(IMAGES), run(IMAGES), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("family", ["plain", "dinov2", "clip", "average", "distilled", "eva02", "swin"])
@torch.no_grad()
def test_every_family(hugging_face, perturbed, plain, tmp_path, family):
    found = perturbed("lora", "learned", family, head="linear")
    to_peft(found.run, tmp_path)
    model = plain(found.run.resolved.raw, 10)
    model.load_state_dict(found.run.model.backbone.state_dict(), strict=False)
    wanted = found.run.model(found.images)
    error = (wrap(hugging_face, model, tmp_path)(found.images) - wanted).abs().max() / wanted.abs().max()
    assert error < 1e-5


def test_what_we_compute_from_the_folder_is_what_the_library_merges(hugging_face, perturbed, plain, tmp_path):
    found = perturbed("lora", "learned", head="linear")
    to_peft(found.run, tmp_path)
    model = plain(found.run.resolved.raw, 10)
    model.load_state_dict(found.run.model.backbone.state_dict(), strict=False)
    merged = wrap(hugging_face, model, tmp_path).merge_and_unload().state_dict()
    own = read_peft(found.run, tmp_path)
    assert own.keys() == merged.keys()
    for name, value in own.items():
        torch.testing.assert_close(value, merged[name], rtol=1e-6, atol=1e-6)


def test_a_fused_qkv_is_one_lora_of_blocks_with_gamma_in_b(perturbed, tmp_path):
    found = perturbed("lora", "learned", cells={"0.q": {"rank": 2}, "0.v": {"rank": 3}})
    to_peft(found.run, tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    A = tensors["base_model.model.blocks.0.attn.qkv.lora_A.weight"]
    B = tensors["base_model.model.blocks.0.attn.qkv.lora_B.weight"]
    assert (A.shape, B.shape) == ((5, 16), (48, 5))
    for site, rows, columns in (("0_q", slice(0, 16), slice(0, 2)), ("0_v", slice(32, 48), slice(2, 5))):
        delta = found.run.model.deltas[site]
        gamma = {str(site): scale for site, scale in found.run.model.gamma.scales().items()}[
            site.replace("_", ".")
        ]
        torch.testing.assert_close(B[rows, columns], gamma * delta.B)
        assert torch.equal(A[columns], delta.A)
    assert B[16:32].abs().max() == B[:16, 2:].abs().max() == B[32:, :2].abs().max() == 0
    config = json.loads((tmp_path / CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (5, 5, {})


def test_ranks_that_differ_are_patterns_of_whole_names(perturbed, tmp_path):
    found = perturbed("lora", cells={"0.q": {"rank": 4}, "0.mlp2": {"rank": 4}, "1.v": {"rank": 3}})
    to_peft(found.run, tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["target_modules"] == ["blocks.0.attn.qkv", "blocks.0.mlp.fc2", "blocks.1.attn.qkv"]
    assert config["r"] == config["lora_alpha"] == 4
    assert config["rank_pattern"] == config["alpha_pattern"] == {"blocks.1.attn.qkv": 3}


@pytest.mark.parametrize(
    ("method", "keys", "words"),
    [
        ("ia3", {}, r"Ia3 at .* \(it is no low-rank update\); legal: low-rank updates beside linear layers"),
        ("ssf", {}, r"Ssf at 0.q, 0.k, 0.v, 0.out and 12 more sites \(it is no low-rank update\)"),
        ("adaptformer", {}, r"Adapter at 0.ffn, 1.ffn \(it is not linear\)"),
        ("unipelt", {"scaling": "gated"}, r"Lora at 0.q, 0.v, 1.q, 1.v \(its gate depends on the input\)"),
        ("lora", {"peft.insertion": "sequential"}, r"\(it is not beside the layer, as PEFT's LoRA is\)"),
        ("lora", {"peft.positions": ["attn"]}, r"\(what it writes is not the output of a linear layer\)"),
        ("bitfit", {}, r"no place for selected weights \(PEFT would have to save whole layers\)"),
        ("linear_probe", {}, r"no place for this run \(it has no low-rank update\)"),
        ("lora", {"family": "beit"}, r"Lora at 0.q, 0.k, 0.v, 1.q and 2 more sites \(timm .* never calls it"),
        (
            "lora",
            {"family": "eva02_fused"},
            r"Lora at 0.q, 0.k, 0.v, 1.q and 2 more sites \(timm .* never calls it",
        ),
    ],
)
def test_what_has_no_place_is_named_with_the_reason(perturbed, tmp_path, method, keys, words):
    with pytest.raises(UserError, match=words):
        to_peft(perturbed(method, **keys).run, tmp_path)


def test_timm_does_leave_a_lora_on_beit_s_qkv_out(hugging_face, plain):
    """The reason for the refusal: were this to fail, it could be dropped."""
    node = {"name": "beit_base_patch16_224", "model_args": {"img_size": 32, "patch_size": 8, "depth": 1}}
    model = plain({"backbone": node}, 0)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        alone = model(images)
        wrapped = hugging_face.get_peft_model(
            model, hugging_face.LoraConfig(target_modules=["qkv"], init_lora_weights=False)
        ).eval()
        assert torch.equal(wrapped(images), alone)


def on_texts(hugging_face, base, out, pool="mean"):
    """What the library computes from the folder, on the model as transformers reads it."""
    import transformers

    model = wrap(hugging_face, transformers.AutoModel.from_pretrained(base), out)
    given = given_by(base)
    with torch.no_grad():
        return pooled(hidden_of(model, given), given["attention_mask"], pool)


@pytest.mark.parametrize(
    "kind", ["bert", "roberta", "xlm-roberta", "distilbert", *DECODERS, *ENCODER_DECODERS]
)
@pytest.mark.parametrize(
    ("scaling", "words"),
    [("fixed", ("scaling.value=4",)), ("learned", ()), ("learned", ("scaling.granularity=channel",))],
)
def test_features_of_texts_equal_the_run_s(hugging_face, hf_run, export, texts, kind, scaling, words):
    run = hf_run(kind, f"scaling={scaling}", *words)
    out = export(run.folder, "peft", images=texts)
    pool = "last" if kind in (*DECODERS, *ENCODER_DECODERS) else "mean"
    found, wanted = on_texts(hugging_face, run.base, out.folder, pool), own_features(run.folder)
    # T5's scores are not divided by sqrt d_h: a rounding of fp32 grows (float64 differs from fp32 by as much as this)
    limit = 1e-3 if kind in ("t5", "mt5") else 1e-4
    assert (found - wanted).abs().max() < limit * wanted.abs().max()
    assert out.card["num_classes"] == 0
    assert json.loads((out.folder / CONFIG).read_text())["modules_to_save"] is None


def test_the_head_of_a_run_on_texts_is_a_file(hf_run, export, texts):
    run = hf_run("bert", head="linear")
    out = export(run.folder, "peft", images=texts).folder
    head = peftlab.load(run.folder).head.state_dict()
    found = load_file(out / "head.safetensors")
    assert all(torch.equal(found[name], value) for name, value in head.items())


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("ia3", r"Ia3 at .* \(it is no low-rank update\)"),
        ("mam", r"Prefix at .* \(it acts inside the attention product\)"),
        ("bitfit", r"no place for selected weights"),
    ],
)
def test_what_has_no_place_of_a_run_on_texts(hf_run, export, texts, method, words):
    with pytest.raises(UserError, match=words):
        export(hf_run("bert", f"peft={method}").folder, "peft", images=texts)


@pytest.mark.parametrize("method", ["prefix", "soft_prompt"])
@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_what_stands_before_a_text_is_elsewhere_behind_an_encoder(hf_run, export, texts, kind, method):
    with pytest.raises(UserError, match="behind an encoder PEFT has a prefix in the decoder alone"):
        export(hf_run(kind, f"peft={method}").folder, "peft", images=texts)
