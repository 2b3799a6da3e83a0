"""A run in a dozen scalars: named as typed, whole for every choice, and never in the way of a wrong config."""

import json
from typing import Any

import pytest
import yaml
from fixtures.configs import Change

from peftlab.config.directory import config_dir
from peftlab.config.summary import KEYS, num_trained, scalar, summary

CHOSEN = {"peft": "lora", "backbone": "tiny", "dataset": "digits_lt", "scaling": "fixed", "task": "classify"}


def test_the_default_run(base: dict[str, Any]) -> None:
    found = summary(base, CHOSEN)
    assert tuple(found) == KEYS
    assert found == {
        **CHOSEN,
        "depth": "all",
        "position": "all",
        "alpha": 1.0,
        "rank": 8,
        "seed": 0,
        "num_parameters": None,
    }


@pytest.mark.parametrize("peft", sorted(path.stem for path in (config_dir() / "peft").glob("*.yaml")))
def test_every_method_has_its_name_and_scalars(change: Change, peft: str) -> None:
    config = change(peft=peft)
    found = summary(config, {**CHOSEN, "peft": peft})
    assert found["peft"] == peft
    assert found["rank"] == config["peft"].get("rank")  # None for what has none, as a hybrid or an adapter
    assert all(value is None or isinstance(value, str | int | float) for value in found.values())


def test_alpha_is_what_was_typed_or_the_published_scale(change: Change) -> None:
    assert summary(change({"scaling.value": 0.5}), CHOSEN)["alpha"] == 0.5
    assert summary(change({"peft.scale": 4.0}), CHOSEN)["alpha"] == 4.0
    assert summary(change(peft="mam"), {**CHOSEN, "peft": "mam"})["alpha"] is None


def test_names_that_a_choice_leaves_open(change: Change) -> None:
    config = change({"backbone.name": "vit_small_patch16_224", "dataset.name": "birds"}, backbone="timm")
    found = summary(config, {**CHOSEN, "backbone": "timm", "dataset": "image_folder"})
    assert (found["backbone"], found["dataset"]) == ("vit_small_patch16_224", "birds")


def test_a_backbone_whose_choice_is_not_known_is_called_as_its_weights(base: dict[str, Any]) -> None:
    assert summary(base, {})["backbone"] == "vit_tiny_patch8_32"


def test_lists_are_as_typed_and_other_placements_have_no_depth(change: Change) -> None:
    config = change({"placement.position": ["q", "v"], "placement.depth": [0, "3-5"]})
    found = summary(config, CHOSEN)
    assert (found["position"], found["depth"]) == ("[q,v]", "[0,3-5]")
    found = summary(change(placement="cells"), CHOSEN)
    assert (found["position"], found["depth"]) == (None, None)


@pytest.mark.parametrize("text", ["{}", "{peft: 3, seed: {a: 1}}", "{placement: [], scaling: null}"])
def test_a_wrong_config_has_fewer_scalars(text: str) -> None:
    found = summary(yaml.safe_load(text), {})
    assert tuple(found) == KEYS
    json.dumps(found)


def test_parameters_of_the_head_and_the_backbone_are_not_the_method_s() -> None:
    assert (
        num_trained({"delta": 7, "gamma": 2, "gate": 0, "selected": 5, "head": 100, "backbone": 1000}) == 14
    )
    assert num_trained({}) == 0


def test_a_list_of_lists() -> None:
    assert scalar([1, ["q", 2.5], None]) == "[1,[q,2.5],None]"
