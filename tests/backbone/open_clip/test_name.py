"""What is known of a model of open_clip before it is imported, against what it says itself."""

import importlib.util
import json
import re

import open_clip
import pytest
from fixtures.clip import description, write_clip

from peftlab.backbone.open_clip import name as module
from peftlab.backbone.open_clip.name import called, check_open_clip, check_towers, model_config
from peftlab.errors import UserError

NODE = {"name": "ViT-B-16", "pretrained": None, "checkpoint": None, "sha256": None}


def test_every_model_has_the_description_that_open_clip_reads():
    for name in open_clip.list_models():
        assert model_config(name) == open_clip.get_model_config(name)


def test_the_words_for_weights_are_those_of_open_clip():
    tags = module._tags()
    own = {name for name, _ in open_clip.list_pretrained() if not name.endswith("-quickgelu")}
    assert set(tags) == own
    assert all(tags[name] == open_clip.list_pretrained_tags_by_model(name) for name in own)


@pytest.mark.parametrize(
    ("name", "pretrained"),
    [
        ("ViT-B-16", "openai"),
        ("ViT-B-32", "laion2b_s34b_b79k"),
        ("ViT-B-16-quickgelu", "openai"),
        ("ViT-L-14", None),
    ],
)
def test_a_right_choice_passes(name, pretrained):
    check_open_clip({**NODE, "name": name, "pretrained": pretrained})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "ViT-B-17"}, r"backbone\.name=ViT-B-17 is not a model of open_clip; .*near: .*ViT-B-16"),
        ({"name": "RN50"}, "ModifiedResNet"),
        ({"name": "coca_ViT-B-32"}, "CoCa"),
        ({"name": "roberta-ViT-B-32"}, r"text tower is a network of Hugging Face \(roberta-base\)"),
        ({"name": "convnext_base"}, "timm model .* under a further layer; legal: .*backbone=hf_clip"),
        (
            {"pretrained": "openia"},
            r"backbone\.pretrained=openia is not among .*; legal: one of openai, laion",
        ),
        ({"pretrained": True}, r"backbone\.pretrained=True is not among .*; legal: one of openai"),
        ({"name": "ViT-S-32", "pretrained": "openai"}, "legal: null, and backbone.checkpoint=FILE"),
        ({"pretrained": "openai", "checkpoint": "x.pt"}, r"pretrained=openai and backbone\.checkpoint=x\.pt"),
        ({"checkpoint": "/nowhere.pt"}, r"backbone\.checkpoint=/nowhere\.pt is not a file"),
        ({"name": "/nowhere/at/all"}, "has no open_clip_config.json that can be read"),
    ],
)
def test_a_wrong_choice_is_one_sentence(changes, said):
    with pytest.raises(UserError, match=said) as refused:
        check_open_clip({**NODE, **changes})
    assert "\n" not in str(refused.value)


def test_a_folder_of_one_s_own(tmp_path):
    folder = write_clip(tmp_path / "own", "siglip")
    own = model_config(str(folder))
    assert own["text_cfg"]["pool_type"] == "last"
    assert called({"name": str(folder)}) == "own"
    assert called({"name": "ViT-B-16"}) == "ViT-B-16"
    assert called({}) is None
    (folder / "open_clip_config.json").write_text(json.dumps(description("plain")))  # without a model_cfg
    assert model_config(str(folder))["embed_dim"] == 12
    for text in ("", "[]", "{}", '{"model_cfg": []}', '{"embed_dim": 1, "vision_cfg": 2, "text_cfg": {}}'):
        (folder / "open_clip_config.json").write_text(text)
        with pytest.raises(UserError, match="that can be read"):
            model_config(str(folder))


def test_a_text_tower_that_hides_padding_is_refused():
    config = description("siglip")
    config["text_cfg"]["use_pad_mask"] = True
    with pytest.raises(UserError, match="hides padding"):
        check_towers("own", config)


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "open_clip" else find(name))
    with pytest.raises(UserError, match=re.escape('not installed; pip install "peftlab[clip]"')):
        check_open_clip(NODE)
