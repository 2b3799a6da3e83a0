"""From a composed config to the resolved one: typed, frozen, without torch."""

import copy
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.configs import composed

from peftlab.config.directory import config_dir
from peftlab.config.place import place
from peftlab.config.resolve import choice, parts_of, resolve
from peftlab.config.resolved import Root
from peftlab.config.schema import BUDGET, GROUPS
from peftlab.errors import UserError
from peftlab.fit.plan import Plan
from peftlab.option import Choice
from peftlab.placement.depth import block_labels
from peftlab.scaling.plan import OuterPlan
from peftlab.site import POSITIONS, Site

DELETE = "(delete)"
Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]
Matches = Callable[[str, str], bool]

WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"backbone.name": "vit_tny_patch16_224"},
        "backbone.name=vit_tny_patch16_224 is not a timm model; legal: one of timm.list_models(), near: vit_tiny_",
    ),
    (
        {"backbone.name": "vit_tiny_patch16_224.x"},
        "backbone.name=vit_tiny_patch16_224.x: .* has no weights called x; ",
    ),
]


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values)[:60] for values, _ in WRONG])
def test_a_wrong_value_is_one_sentence(
    change: Change, refused: Refused, matches: Matches, values: dict[str, Any], words: str
) -> None:
    text = refused(change(values))
    assert matches(text, words), text


def test_the_default_passes(base: dict[str, Any]) -> None:
    before = copy.deepcopy(base)
    resolve(base)
    assert base == before


@pytest.mark.parametrize("scaling", ["fixed", "learned", "meta"])
def test_every_scaling_of_lora_passes(change: Change, scaling: str) -> None:
    resolve(change(scaling=scaling))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"placement.position": "zz"}, "=zz is not a position"),
        ({"placement.depth": "3-1"}, "=3-1 runs backwards"),
    ],
)
def test_a_backbone_that_has_not_said_its_depth_does_not_switch_the_checks_off(
    change: Change, refused: Refused, values: dict[str, Any], words: str
) -> None:
    small = {"backbone.name": "vit_small_patch16_224"}
    resolve(change({**small, "placement.depth": "20-30"}, backbone="timm"))  # nobody can know yet
    assert words in refused(change({**small, **values}, backbone="timm"))


def test_gamma_of_a_run_as_a_placement(change: Change, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "gamma.csv").write_text("site,gamma,ratio\n0.q,1.5,0.1\n3.v,0.5,0.2\n")
    here = {"placement.run": str(tmp_path)}

    def config(**values: Any) -> dict[str, Any]:
        return change(
            {**here, **{f"placement.{key}": value for key, value in values.items()}}, placement="from_gamma"
        )

    resolve(config(keep=1))
    resolve(config(threshold=0.5))
    placed = place(resolve(config(keep=1, by="ratio")), block_labels(12), POSITIONS)
    assert list(placed.parts["peft"]) == [Site(3, "v")]
    assert placed.scores == {Site(0, "q"): 0.1, Site(3, "v"): 0.2}
    for values, words in (
        ({}, "placement.threshold=null and placement.keep=null: "),
        ({"keep": 0}, "placement.keep=0 is not legal; legal: a whole number from 1 to 1000000 or null"),
        ({"keep": -1}, "placement.keep=-1 is not legal"),
        ({"keep": 3}, "placement.keep=3 is more than the 2 sites"),
        ({"threshold": 2}, "placement.threshold=2 keeps no site: the largest gamma"),
        ({"keep": 1, "by": "block"}, "placement.by=block is not legal; legal: gamma, ratio"),
        ({"keep": 1, "run": "???"}, "placement.run has no value yet; legal: placement.run=VALUE"),
        ({"keep": 1, "run": str(tmp_path / "no")}, f"placement.run={tmp_path / 'no'} has no gamma.csv"),
    ):
        assert refused(config(**values)).startswith(words)


META: list[tuple[dict[str, Any], str]] = [
    (
        {"scaling.outer.fraction": 0},
        "scaling.outer.fraction=0 is not legal; legal: a number above 0 and below 1",
    ),
    (
        {"scaling.outer.fraction": 0.0},
        "scaling.outer.fraction=0.0 is not legal; legal: a number above 0 and below 1",
    ),
    (
        {"scaling.outer.fraction": 1},
        "scaling.outer.fraction=1 is not legal; legal: a number above 0 and below 1",
    ),
    (
        {"scaling.outer.fraction": -0.2},
        "scaling.outer.fraction=-0.2 is not legal; legal: a number above 0 and below 1",
    ),
    ({"scaling.outer.fraction": None}, "scaling.outer.fraction=null is not legal"),
    ({"scaling.outer": None}, "scaling.outer=null is not legal; legal: a node with _target_"),
    ({"scaling.outer": DELETE}, "scaling.outer is missing"),
    (
        {"scaling.outer.evry": 3},
        "scaling.outer.evry=3 is not a key of scaling.outer; .*(did you mean every?)",
    ),
    (
        {"scaling.outer.every": 0},
        "scaling.outer.every=0 is not legal; legal: a whole number from 1 to 1000000",
    ),
    (
        {"scaling.estimator": "unrolled"},
        "scaling.estimator=unrolled is not legal; legal: a node with _target_",
    ),
    ({"scaling.estimator.num_steps": 2}, "scaling.estimator.num_steps=2 is not a key of scaling.estimator"),
    (
        {"scaling.granularity": "head"},
        "scaling.granularity=head is not legal; legal: site, block, position, global",
    ),
    ({"scaling.init": 0}, "scaling.init=0 cannot be reached by softplus; legal: a number above 0"),
    ({"scaling.init": -1.0}, "scaling.init=-1.0 cannot be reached by softplus; legal: a number above 0"),
]


@pytest.mark.parametrize(("values", "words"), META, ids=[str(values) for values, _ in META])
def test_a_wrong_meta_split_is_one_sentence(
    change: Change, refused: Refused, matches: Matches, values: dict[str, Any], words: str
) -> None:
    text = refused(change(values, scaling="meta"))
    assert matches(text, words), text


HEAVY = ("torch", "timm", "wandb", "torchvision", "datasets", "transformers", "sklearn", "matplotlib")
FRESH = """
import json, sys
from peftlab.config.resolve import resolve
for text in json.load(sys.stdin):
    resolve(text)
found = [name for name in {heavy!r} if name in sys.modules]
assert not found, found
"""


def test_a_config_is_resolved_without_torch(change: Change) -> None:
    """In a fresh interpreter: a hybrid, a mask, a selector, a meta-learned gamma with every estimator, and a supernet."""
    configs = [
        change(),
        composed("peft=hlpt"),
        composed("peft=mask_fisher"),
        composed("peft=noah", "placement=noah"),
        composed("placement=sensitivity", "placement.keep=3"),
        *(
            composed("scaling=meta", f"scaling/estimator={path.stem}")
            for path in (config_dir() / "scaling" / "estimator").glob("*.yaml")
        ),
    ]
    assert len(configs) > 7
    subprocess.run(
        [sys.executable, "-c", FRESH.format(heavy=HEAVY)],
        input=json.dumps(configs), text=True, check=True, timeout=60,
    )  # fmt: skip


def test_importing_the_resolved_config_imports_nothing_heavy() -> None:
    code = f"import sys, peftlab.config.resolve, peftlab.config.resolved; assert not {set(HEAVY)} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_group_is_a_choice_with_its_options(base: dict[str, Any]) -> None:
    resolved = resolve(base)
    for group in GROUPS:
        node = {key: value for key, value in base[group].items() if key != "_target_"}
        if group in ("peft", "fit"):
            continue
        found = getattr(resolved, group)
        assert isinstance(found, Choice)
        assert found.target == base[group]["_target_"]
        options = {k: v for k, v in node.items() if not (group == "placement" and k in ("budget", "tower"))}
        source = options.pop("source", None)
        assert {k: v for k, v in found.options.items() if k != "source"} == options
        if source is not None:
            assert isinstance(found.options["source"], Choice)
            assert found.options["source"].word == "digits" or source
    assert resolved.fit == Plan(**{k: v for k, v in base["fit"].items() if k != "_target_"})
    assert resolved.root == Root(**{field.name: base[field.name] for field in dataclasses.fields(Root)})
    assert resolved.seed == base["seed"]
    assert resolved.raw is base
    assert resolved.budget is resolved.outer is None


def test_the_parts_of_a_hybrid() -> None:
    lora, prefix = resolve(composed("peft=hlpt", "peft.cuts.bottom=25")).parts
    assert (lora.name, lora.path, lora.form.word) == ("lora", "peft.parts.lora", "lora")
    assert (prefix.name, prefix.path, prefix.form.word) == ("prefix", "peft.parts.prefix", "prefix")
    assert (lora.positions, lora.depth, lora.insertion, lora.scale) == (("mlp2",), "0%-25%", "parallel", 1.0)
    assert (prefix.positions, prefix.depth) == (("kv", "xkv"), "25%-100%")
    assert (lora.width_key, prefix.width_key) == ("rank", "length")
    assert prefix.form.options["length"] == 10
    assert not {"positions", "depth", "insertion", "scale"} & set(lora.form.options)
    assert {"Lora", "Additive", "Delta", "Elastic", "LowRank"} <= lora.traits
    assert {"Prefix", "OnHeads", "Delta", "Reparametrised"} <= prefix.traits
    assert "Elastic" not in prefix.traits


def test_a_method_of_one_part_is_called_peft(base: dict[str, Any]) -> None:
    (part,) = parts_of(base["peft"])
    assert (part.name, part.path) == ("peft", "peft")
    resolved = resolve(base)
    assert resolved.part("peft") == part
    assert not part.is_selection
    assert not part.is_mask


@pytest.mark.parametrize(("peft", "is_mask"), [("bitfit", False), ("full", False), ("mask_heads", True)])
def test_selective_methods_are_known_by_their_classes(change: Change, peft: str, is_mask: bool) -> None:
    (part,) = resolve(change(peft=peft)).parts
    assert part.is_selection
    assert part.is_mask == is_mask
    assert part.width_key == ("keep_ratio" if is_mask else None)
    assert part.scale is None


def test_the_outer_plan_is_there_where_gamma_is_meta_learned(change: Change) -> None:
    config = change({"scaling.outer.every": 7}, scaling="meta")
    resolved = resolve(config)
    expected = {key: value for key, value in config["scaling"]["outer"].items() if key != "_target_"}
    assert resolved.outer == OuterPlan(**expected)
    assert resolved.outer.every == 7
    assert isinstance(resolved.scaling.options["outer"], Choice)
    assert resolved.scaling.options["estimator"].word == "direct"
    for scaling in ("fixed", "learned", "gated"):
        assert resolve(change(scaling=scaling)).outer is None


def test_a_budget_is_a_number_of_parameters_and_no_option_of_the_placement(change: Change) -> None:
    resolved = resolve(change({"placement.budget": "0.3M"}))
    assert resolved.budget == 300_000
    assert "budget" not in resolved.placement.options
    assert "budget" in choice(resolved.raw["placement"]).options
    assert choice(resolved.raw["placement"], BUDGET) == resolved.placement


def test_what_cannot_run_again_in_backward_is_refused() -> None:
    resolve(composed("fit.checkpointing=true", "scaling=meta"))
    with pytest.raises(
        UserError, match=r"fit\.checkpointing=true with fit\.compile=true, whose graph .*; legal: one"
    ):
        resolve(composed("fit.checkpointing=true", "fit.compile=true"))
    for word in ("unrolled", "implicit"):
        said = rf"fit\.checkpointing=true with scaling/estimator={word}, which differentiates twice.*legal: .*=direct"
        with pytest.raises(UserError, match=said):
            resolve(composed("fit.checkpointing=true", "scaling=meta", f"scaling/estimator={word}"))


def test_what_cannot_be_compiled_is_refused(change: Change) -> None:
    resolve(change({"fit.compile": True}))
    resolve(change({"peft.dropout": 0.1}))
    with pytest.raises(UserError, match=r"peft has dropout; legal: peft\.dropout=0, or fit\.compile=false"):
        resolve(change({"fit.compile": True, "peft.dropout": 0.1}))
    with pytest.raises(UserError, match="every step has another graph"):
        resolve(composed("backbone=tiny", "experiment=noah", "placement.limit=2000", "fit.compile=true"))
