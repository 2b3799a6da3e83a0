"""Weights that load, and one sentence for each way in which they do not."""

import hashlib
import re

import pytest
import timm
import torch
from huggingface_hub import constants
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from peftlab.backbone import hub
from peftlab.backbone.timm.checkpoint import PACKAGED
from peftlab.backbone.timm.model import timm_model
from peftlab.backbone.timm.table import timm_table
from peftlab.config.directory import config_dir
from peftlab.errors import UserError

ARGS = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 16, "num_heads": 2}


def make(**options):
    legal = {
        "name": "vit_tiny_patch16_224",
        "pretrained": False,
        "checkpoint": None,
        "sha256": None,
        "quantise": None,
        "depth": None,
        "model_args": ARGS,
    }
    return timm_model(**{**legal, **options})


@pytest.fixture(scope="module")
def tiny():
    return make()


@pytest.fixture
def saved(tiny, tmp_path):
    """Other weights than those of a fresh model, with a classifier as checkpoints have one."""
    state = {key: value + 0.25 for key, value in tiny.model.state_dict().items()}
    head = {"head.weight": torch.zeros(7, 16), "head.bias": torch.zeros(7)}
    save_file({**state, **head}, tmp_path / "weights.safetensors")
    return state, tmp_path / "weights.safetensors"


def refuse(match, **options):
    with pytest.raises(UserError, match=match) as error:
        make(**options)
    assert "\n" not in str(error.value)
    assert ". " not in str(error.value), "more than one sentence"


def test_it_is_frozen_and_in_eval_mode(tiny):
    assert not any(value.requires_grad for value in tiny.model.parameters())
    assert not any(module.training for module in tiny.model.modules())
    assert (tiny.depth, tiny.num_features, tiny.input_spec.size) == (2, 16, 32)
    assert tiny.model(torch.zeros(2, 3, 32, 32)).shape == (2, 16)


def test_random_weights_depend_on_no_global_state(tiny):
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert make().hash == tiny.hash
    assert torch.equal(torch.get_rng_state(), state)


def test_the_hash_sees_one_changed_weight(tiny, saved):
    state, path = saved
    first = make(checkpoint=str(path)).hash
    assert first != tiny.hash
    state["blocks.1.attn.qkv.bias"][5] += 1e-3
    save_file(state, path)
    assert make(checkpoint=str(path)).hash not in (first, tiny.hash)


@pytest.mark.parametrize(
    "form", ["safetensors", "plain.pt", "model.pt", "state_dict.pth", "fp16.safetensors"]
)
def test_checkpoint_round_trip(saved, tmp_path, form):
    state, path = saved
    if form == "fp16.safetensors":
        state = {key: value.half() for key, value in state.items()}
        path = tmp_path / form
        save_file(state, path)
    elif form != "safetensors":
        path = tmp_path / form
        key = form.split(".")[0]
        torch.save(state if key == "plain" else {key: state, "epoch": 3}, path)
    loaded = make(checkpoint=str(path)).model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key].float()) for key in state)
    assert all(value.dtype == torch.float32 for value in loaded.values())


def test_file_that_is_not_there(tmp_path):
    refuse(f"checkpoint={tmp_path}/no.pt is not a file", checkpoint=f"{tmp_path}/no.pt")
    refuse("checkpoint=package:no.pt does not ship with peftlab; legal: package:", checkpoint="package:no.pt")


def test_sha256(saved):
    _, path = saved
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    make(checkpoint=str(path), sha256=right)
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    refuse(f"does not have sha256 {wrong}: the file is damaged", checkpoint=str(path), sha256=wrong)
    refuse("sha256=abc has no file to check", sha256="abc")


def test_checkpoint_of_another_architecture(saved, tmp_path):
    state, path = saved
    refuse(
        r"is not a vit_tiny_patch16_224: 12 weights missing \['blocks.2.attn.proj.bias'.*0 not in the model",
        checkpoint=str(path),
        model_args={**ARGS, "depth": 3},
    )
    refuse(
        r"0 weights missing \[\], 12 not in the model \['blocks.1.attn.proj.bias'.* 0 of another shape",
        checkpoint=str(path),
        model_args={**ARGS, "depth": 1},
    )
    refuse(
        r"is of images of 32 pixels, and the model reads 64; legal: \+\+backbone\.model_args\.img_size=32",
        checkpoint=str(path),
        model_args={**ARGS, "img_size": 64},
    )
    refuse(
        r"0 weights missing \[\], 0 not in the model \[\], 1 of another shape \['patch_embed.proj.weight'\]",
        checkpoint=str(path),
        model_args={**ARGS, "img_size": 64, "patch_size": 16},
    )
    save_file({**state, "mask_token": torch.zeros(1, 16)}, tmp_path / "masked.safetensors")
    assert make(checkpoint=str(tmp_path / "masked.safetensors")).hash == make(checkpoint=str(path)).hash
    del state["norm.bias"]
    save_file(state, tmp_path / "cut.safetensors")
    refuse(r"1 weights missing \['norm.bias'\]", checkpoint=str(tmp_path / "cut.safetensors"))


class Trap:
    def __reduce__(self):
        return (print, ("the pickle was trusted",))


@pytest.mark.parametrize("kind", ["noise.safetensors", "noise.pt", "trap.pt", "list.pt", "words.pt"])
def test_file_that_holds_no_weights(tmp_path, kind, capsys):
    path = tmp_path / kind
    if kind.startswith("noise"):
        path.write_bytes(b"not weights" * 9)
    else:
        torch.save({"trap": Trap(), "list": [1, 2], "words": {"epoch": 3}}[kind[:-3]], path)
    refuse(
        f"^backbone.checkpoint={path} (cannot be read|holds no tensors|is no file of weights)",
        checkpoint=str(path),
    )
    assert "trusted" not in capsys.readouterr().out


def test_depth_is_a_promise():
    make(depth=2)
    refuse("backbone.depth=12, but vit_tiny_patch16_224 has 2 blocks; set backbone.depth=2 or null", depth=12)


def test_unknown_names():
    refuse(
        "name=vit_tiny_patch17_224 is not a timm model; .* near ones: vit_tiny_", name="vit_tiny_patch17_224"
    )
    refuse("cannot be built: Invalid pretrained tag", name="vit_tiny_patch16_224.nonsense")


@pytest.mark.parametrize("wrong", [{"colour": 3}, {"global_pool": "middle"}])
def test_model_args_that_do_not_fit(wrong):
    refuse("backbone.model_args={.*} does not fit vit_tiny_patch16_224: ", model_args={**ARGS, **wrong})


def test_two_sources_of_weights():
    refuse(
        "pretrained=true and backbone.checkpoint=x.pt exclude each other", pretrained=True, checkpoint="x.pt"
    )


def test_pretrained_without_a_network_fails_at_once(monkeypatch, tmp_path):
    """The hub's own client would retry for most of a minute: here it is asked for nothing."""

    def unreachable(self, name, timeout):
        assert (name, timeout) == ("timm/vit_tiny_patch16_224", hub.REACH_S)
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    before = constants.HF_HUB_OFFLINE
    refuse(
        r"pretrained=true: the weights of vit_tiny_patch16_224 cannot be had \(.*\); download them on a "
        "machine with network and give backbone.pretrained=false backbone.checkpoint=FILE",
        pretrained=True,
    )
    assert constants.HF_HUB_OFFLINE is before


def test_a_model_without_published_weights(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refuse("cannot be had .No pretrained weights exist", name="vit_small_patch16_36x1_224", pretrained=True)


def test_the_packaged_weights_are_what_yaml_and_card_say():
    card = (PACKAGED / "vit_tiny_patch8_32.md").read_text()
    digest = hashlib.sha256((PACKAGED / "vit_tiny_patch8_32.safetensors").read_bytes()).hexdigest()
    assert digest in card
    assert f"sha256: {digest}" in (config_dir() / "backbone" / "vit_tiny_patch8_32.yaml").read_text()
    state = load_file(PACKAGED / "vit_tiny_patch8_32.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert not any(key.startswith("head") for key in state)


def test_the_packaged_backbone(composed):
    node = composed()["backbone"]
    del node["_target_"]
    backbone = timm_model(**node)
    assert (backbone.depth, backbone.num_features, backbone.input_spec.size) == (12, 192, 32)
    assert backbone.input_spec.mean == backbone.input_spec.std == (0.5, 0.5, 0.5)
    state = load_file(PACKAGED / "vit_tiny_patch8_32.safetensors")
    assert all(torch.equal(value, state[key].float()) for key, value in backbone.model.state_dict().items())
    card = (PACKAGED / "vit_tiny_patch8_32.md").read_text()
    millions = sum(value.numel() for value in backbone.model.parameters()) / 1e6
    assert re.search(r"([\d.]+) M parameters", card).group(1) == f"{millions:.2f}"


def test_the_input_is_the_backbone_s_own():
    spec = make(name="vit_base_patch16_clip_224.openai").input_spec
    config = timm.get_pretrained_cfg("vit_base_patch16_clip_224.openai")
    assert (spec.mean, spec.std) == (tuple(config.mean), tuple(config.std))
    assert (spec.size, spec.interpolation, spec.crop_pct) == (32, config.interpolation, config.crop_pct)


SWIN_ARGS = {"img_size": 32, "window_size": 4, "depths": (2, 1), "embed_dim": 8, "num_heads": (2, 4)}


def test_the_depth_of_stages_is_a_list():
    swin = {"name": "swin_tiny_patch4_window7_224", "model_args": SWIN_ARGS}
    assert make(depth=[2, 1], **swin).labels == ("0.0", "0.1", "1.0")
    right = r"but swin_tiny_patch4_window7_224 has \[2, 1\] blocks; set backbone.depth=\[2, 1\] or null"
    for wrong in (3, [2, 2], [3], [1, 2]):
        refuse(rf"backbone.depth={re.escape(str(wrong))}, {right}", depth=wrong, **swin)
    refuse(r"backbone.depth=\[2\], but .* has 2 blocks; set backbone.depth=2 or null", depth=[2])


def test_what_the_table_says_is_in_the_backbone():
    backbone = make(name="vit_small_patch14_reg4_dinov2", model_args={**ARGS, "img_size": 32})
    assert (backbone.num_prefix_tokens, backbone.blocks) == (5, ("blocks.0", "blocks.1"))
    refused = make(name="beit_base_patch16_224", model_args=ARGS)
    assert list(refused.refused) == ["tokens"]
    assert "tokens" not in refused.positions


@pytest.mark.parametrize(
    "name",
    [
        "eva02_base_patch14_224",
        "vit_base_patch16_siglip_224",
        "vit_small_patch16_dinov3",
        "beit_base_patch16_224",
        "deit_tiny_distilled_patch16_224",
    ],
)
def test_features_are_pooled_and_as_wide_as_promised(name):
    backbone = make(name=name, model_args=ARGS)
    size = backbone.input_spec.size
    assert backbone.model(torch.zeros(2, 3, size, size)).shape == (2, backbone.num_features)


def test_a_model_of_other_than_square_images_is_refused():
    refuse(
        r"model_args\.img_size=\(32, 64\) is not a square; legal: one whole number",
        name="vit_base_patch16_sapiens2",
        model_args={**ARGS, "img_size": (32, 64), "num_kv_heads": 1},
    )


CHOICES = sorted((config_dir() / "backbone").glob("*.yaml"))
YAML = [file for file in CHOICES if file.stem != "timm" and "backbone.timm." in file.read_text()]


@pytest.mark.parametrize("file", YAML, ids=[file.stem for file in YAML])
def test_every_backbone_yaml_has_a_table_of_the_depth_it_promises(file, on_meta):
    node = OmegaConf.to_container(OmegaConf.load(file))
    assert timm_table(on_meta(node["name"], **node["model_args"]), node["name"]).depth == node["depth"]
    if node["pretrained"]:
        assert file.stem == node["name"]
        assert node["name"] in timm.list_pretrained()
