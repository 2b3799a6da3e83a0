"""Every rule of a config, one wrong input each: one sentence with the key, the value and what is legal."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from peftlab.config.check import GROUPS, check, check_cells, resolve_placement

from peftlab.config.compose import composed
from peftlab.config.directory import config_dir
from peftlab.errors import UserError
from peftlab.placement.depth import block_labels
from peftlab.site import Site

DELETE = "(delete)"
Change = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    """`peftlab` without a word."""
    return composed()


@pytest.fixture
def change(base: dict[str, Any]) -> Change:
    """The default config with other choices (`peft="bitfit"`) and other values (`{"peft.rank": 3}`)."""

    def make(values: dict[str, Any] | None = None, **chosen: str) -> dict[str, Any]:
        config = copy.deepcopy(base)
        for group, name in chosen.items():
            node: Any = OmegaConf.to_container(OmegaConf.load(config_dir() / group / f"{name}.yaml"))
            if group == "scaling" and name == "meta":
                del node["defaults"]
                node["estimator"] = OmegaConf.to_container(
                    OmegaConf.load(config_dir() / "scaling" / "estimator" / "direct.yaml")
                )
            config[group] = node
        for path, value in (values or {}).items():
            node = config
            *parents, key = path.split(".")
            for parent in parents:
                node = node[parent]
            if value == DELETE:
                del node[key]
            else:
                node[key] = value
        return config

    return make


def refused(config: dict[str, Any]) -> str:
    with pytest.raises(UserError) as error:
        check(config)
    text = str(error.value)
    assert "\n" not in text
    assert "  " not in text
    return text


def test_the_default_passes(base: dict[str, Any]) -> None:
    before = copy.deepcopy(base)
    check(base)
    assert base == before


@pytest.mark.parametrize("scaling", ["fixed", "learned", "meta"])
def test_every_scaling_of_lora_passes(change: Change, scaling: str) -> None:
    check(change(scaling=scaling))


def test_seed_0_is_legal(change: Change) -> None:
    check(change({"seed": 0}))
    check(change({"seed": 2**40}))


WRONG: list[tuple[dict[str, Any], str]] = [
    # unknown keys, also those that a + lets through
    ({"foo": 1}, "foo=1 is not a key of the config; legal: backbone, baseline, dataset, "),
    ({"sede": 1}, "sede=1 is not a key of the config; legal: .*, tracker (did you mean seed?)"),
    ({"peft.rnk": 3}, "peft.rnk=3 is not a key of peft; legal: depth, dropout, .*(did you mean rank?)"),
    ({"fit.epoch": 3}, "fit.epoch=3 is not a key of fit; .*(did you mean epochs?)"),
    ({"dataset.source.rot": 3}, "dataset.source.rot=3 is not a key of dataset.source; legal: "),
    ({"loss._convert_": "all"}, "loss._convert_=all is not a key of loss; legal: tau"),
    # missing keys and groups
    ({"seed": DELETE}, "seed is missing; give it a value with seed=VALUE"),
    ({"peft.rank": DELETE}, "peft.rank is missing; give it a value with peft.rank=VALUE"),
    ({"optim": DELETE}, "optim is missing from the config; choose one with optim=NAME"),
    ({"optim": None}, "optim=None is not a choice of the group optim; choose one with optim=NAME"),
    ({"optim": "sgd"}, "optim=sgd is not a choice of the group optim; choose one with optim=NAME"),
    ({"backbone.name": "???"}, "backbone.name has no value yet; give one with backbone.name=VALUE"),
    # wrong kinds
    ({"seed": None}, "seed=null is not legal; legal: a whole number, 0 or above"),
    ({"seed": -1}, "seed=-1 is not legal; legal: a whole number, 0 or above"),
    ({"seed": 1.5}, "seed=1.5 is not legal; "),
    ({"seed": True}, "seed=true is not legal; "),
    ({"seed": "0"}, "seed=0 is not legal; "),
    ({"device": "gpu"}, "device=gpu is not legal; legal: auto, cpu, cuda"),
    ({"resume": 1}, "resume=1 is not legal; legal: true or false"),
    ({"baseline": 3}, "baseline=3 is not legal; legal: a word or null"),
    ({"peft.rank": -8}, "peft.rank=-8 is not legal; legal: a whole number above 0"),
    ({"peft.rank": 0}, "peft.rank=0 is not legal; legal: a whole number above 0"),
    ({"peft.rank": 8.0}, "peft.rank=8.0 is not legal; legal: a whole number above 0"),
    ({"peft.rank": "eight"}, "peft.rank=eight is not legal; legal: a whole number above 0"),
    ({"peft.dropout": 1.2}, "peft.dropout=1.2 is not legal; legal: a number from 0 to 1"),
    ({"optim.lr": 0}, "optim.lr=0 is not legal; legal: a number above 0"),
    ({"optim.lr": float("nan")}, "optim.lr=nan is not legal; legal: a number above 0"),
    ({"fit.epochs": 0}, "fit.epochs=0 is not legal; legal: a whole number above 0"),
    ({"fit.precision": "fp16"}, "fit.precision=fp16 is not legal; legal: fp32, bf16"),
    ({"fit.select": "test"}, "fit.select=test is not legal; legal: last, best"),
    ({"dataset.imbalance": "30"}, "dataset.imbalance=30 is not legal; legal: a number above 0 or null"),
    ({"dataset.crop_scale": ["a", 1]}, "dataset.crop_scale=['a', 1] is not legal; legal: a list of a number"),
    ({"dataset.groups": None}, "dataset.groups=null is not legal; legal: a mapping"),
    ({"head.init": "zeros"}, "head.init=zeros is not legal; legal: class_mean, random"),
    ({"head.scale": 0}, "head.scale=0 is not legal; legal: a number above 0"),
    ({"loss.tau": -1}, "loss.tau=-1 is not legal; legal: a number, 0 or above"),
    # the word None
    (
        {"peft.dropout": "None"},
        "peft.dropout=None is the word None, not an empty value, which is written null",
    ),
    (
        {"fit.clip_norm": "none"},
        "fit.clip_norm=none is the word none, not an empty value, which is written null",
    ),
    ({"backbone.checkpoint": "None"}, "backbone.checkpoint=None is the word None"),
    ({"baseline": "None"}, "baseline=None is the word None"),
    ({"backbone.model_args": {"img_size": "None"}}, "backbone.model_args.img_size=None is the word None"),
    ({"dataset.mean": ["None"]}, "dataset.mean.0=None is the word None"),
    # places
    (
        {"placement.depth": 12},
        "placement.depth=12 is outside the backbone, which has blocks 0-11 (or -12 to -1)",
    ),
    ({"placement.depth": "0-12"}, "placement.depth=0-12 is outside the backbone"),
    ({"placement.depth": [0, -13]}, "placement.depth=-13 is outside the backbone"),
    ({"placement.depth": []}, "placement.depth=[] names no block; legal: "),
    ({"placement.depth": "1%-2%"}, "placement.depth=1%-2% holds none of the 12 blocks"),
    ({"placement.depth": 0.5}, "placement.depth=0.5 is not a depth; legal: "),
    ({"placement.depth": None}, "placement.depth=null is not legal; legal: "),
    (
        {"placement.position": []},
        "placement.position=[] names no position; legal: q, k, v, out, mlp1, gate, mlp2",
    ),
    (
        {"placement.position": "quey"},
        "placement.position=quey is not a position this method can take; legal: q, k",
    ),
    (
        {"placement.position": "ffn"},
        "placement.position=ffn is not a position this method can take; legal: q, k",
    ),
    # names
    (
        {"backbone.name": "vit_tny_patch16_224"},
        "backbone.name=vit_tny_patch16_224 is not a timm model; near: vit_tiny_",
    ),
    (
        {"backbone.name": "vit_tiny_patch16_224.x"},
        "backbone.name=vit_tiny_patch16_224.x: .* has no weights called x; ",
    ),
    ({"peft._target_": "peftlab.peft.lora.Lorra"}, "peft._target_=peftlab.peft.lora.Lorra cannot be used: "),
    ({"head._target_": "os.system"}, "head._target_=os.system cannot be used: os is not a module of peftlab"),
    ({"head._target_": 3}, "head._target_=3 cannot be used: "),
    # what belongs together
    ({"fit.warmup_epochs": 10}, "fit.warmup_epochs=10 leaves none of fit.epochs=10; legal: fewer"),
    ({"peft.insertion": "in_place"}, "peft.insertion=in_place does not go with Lora; legal: parallel, "),
    (
        {"peft.insertion": "residual"},
        "peft.positions=[q, k, .*] does not go with residual; legal: some of attn, ffn",
    ),
    (
        {"peft.positions": ["q", "proj"]},
        "peft.positions=[q, proj] does not go with parallel; legal: some of q, ",
    ),
    ({"peft.positions": []}, "peft.positions=[] does not go with parallel; legal: some of q, "),
    ({"peft.scale": 0}, "peft.scale=0 is not legal; legal: a number above 0 or null"),
    ({"peft.depth": DELETE}, "peft.depth=null is not legal; legal: "),
]


def matches(text: str, pattern: str) -> bool:
    """`.*` in the pattern stands for anything, all else for itself; the end may be left out."""
    at = 0
    for number, part in enumerate(pattern.split(".*")):
        found = text.find(part, at)
        if found < 0 or (number == 0 and found != 0):
            return False
        at = found + len(part)
    return True


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values)[:60] for values, _ in WRONG])
def test_a_wrong_value_is_one_sentence(change: Change, values: dict[str, Any], words: str) -> None:
    text = refused(change(values))
    assert matches(text, words), text


def test_a_word_none_that_is_a_choice_is_legal(change: Change) -> None:
    check(change({"dataset.augment": "none"}))
    assert refused(change({"dataset.augment": "None"})).startswith("dataset.augment=None is the word None")
    check(change(tracker="none"))


META: list[tuple[dict[str, Any], str]] = [
    ({"scaling.outer.fraction": 0}, "scaling.outer.fraction=0 leaves no images for the outer steps"),
    ({"scaling.outer.fraction": 0.0}, "scaling.outer.fraction=0.0 leaves no images for the outer steps"),
    ({"scaling.outer.fraction": 1}, "scaling.outer.fraction=1 leaves no images for inner steps"),
    (
        {"scaling.outer.fraction": -0.2},
        "scaling.outer.fraction=-0.2 is not legal; legal: a number from 0 to 1",
    ),
    ({"scaling.outer.fraction": None}, "scaling.outer.fraction=null is not legal"),
    ({"scaling.outer": None}, "scaling.outer=null is not legal; legal: a node with _target_"),
    ({"scaling.outer": DELETE}, "scaling.outer is missing"),
    (
        {"scaling.outer.evry": 3},
        "scaling.outer.evry=3 is not a key of scaling.outer; .*(did you mean every?)",
    ),
    ({"scaling.outer.every": 0}, "scaling.outer.every=0 is not legal; legal: a whole number above 0"),
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
def test_a_wrong_meta_split_is_one_sentence(change: Change, values: dict[str, Any], words: str) -> None:
    text = refused(change(values, scaling="meta"))
    assert matches(text, words), text


def test_a_start_at_or_below_zero_is_legal_where_softplus_is_not_in_the_way(change: Change) -> None:
    check(change({"scaling.init": 0, "scaling.init_raw": True}, scaling="meta"))
    check(change({"scaling.init": 0, "scaling.activation": "identity"}, scaling="learned"))


@pytest.mark.parametrize("peft", ["bitfit", "full", "linear_probe"])
@pytest.mark.parametrize("scaling", ["meta", "learned"])
def test_gamma_with_a_method_that_has_no_delta(change: Change, peft: str, scaling: str) -> None:
    text = refused(change(peft=peft, scaling=scaling))
    assert text == f"scaling={scaling} needs a delta to multiply, and {peft} has none; legal: scaling=fixed"


@pytest.mark.parametrize("peft", ["bitfit", "full", "linear_probe"])
def test_a_scale_with_a_method_that_has_no_delta(change: Change, peft: str) -> None:
    check(change(peft=peft))
    assert refused(change({"scaling.value": 2.0}, peft=peft)).startswith(
        "scaling.value=2.0 has nothing to act on"
    )
    assert refused(change({"scaling.rule": "over_rank"}, peft=peft)).endswith("legal: plain")
    assert (
        refused(change({"peft.scale": 2.0}, peft=peft))
        == f"peft.scale=2.0 does not go with {peft}, which has no delta; legal: null"
    )
    text = refused(change({"peft.insertion": "parallel"}, peft=peft))
    assert text == f"peft.insertion=parallel does not go with {peft}; legal: in_place"


def test_a_placement_has_no_effect_on_a_linear_probe(change: Change) -> None:
    for values in ({"placement.depth": 0}, {"placement.position": "q"}):
        assert "placement has no effect on linear_probe" in refused(change(values, peft="linear_probe"))
    cells = {"placement.cells": {"0.q": {}}}
    assert "placement has no effect" in refused(change(cells, peft="linear_probe", placement="cells"))


@pytest.mark.parametrize(
    ("peft", "position"),
    [("adaptformer", "q"), ("adapter_pfeiffer", "attn"), ("adapter_houlsby", "mlp1"), ("bitfit", "ffn")],
)
def test_a_position_of_another_method(change: Change, peft: str, position: str) -> None:
    text = refused(change({"placement.position": position}, peft=peft))
    assert text.startswith(f"placement.position={position} is not a position this method can take; legal: ")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"placement.position": "zz"}, "=zz is not a position"),
        ({"placement.depth": "3-1"}, "=3-1 runs backwards"),
    ],
)
def test_a_backbone_that_has_not_said_its_depth_does_not_switch_the_checks_off(
    change: Change, values: dict[str, Any], words: str
) -> None:
    small = {"backbone.name": "vit_small_patch16_224"}
    check(change({**small, "placement.depth": "20-30"}, backbone="timm"))  # nobody can know yet
    assert words in refused(change({**small, **values}, backbone="timm"))


CELLS: list[tuple[Any, str]] = [
    (None, "placement.cells=None names no site"),
    ({"0-5.q": {"rnk": 8}}, "placement.cells: 0.q has the option rnk=8; legal: rank, dropout, scale"),
    ({"0-5.q": {"positions": ["k"]}}, "placement.cells: 0.q has the option positions="),
    ({"0-5.q": {"rank": -8}}, "placement.cells: 0.q has rank=-8; legal: a whole number above 0"),
    ({"0-5.q": {"rank": None}}, "placement.cells: 0.q has rank=null; legal: a whole number above 0"),
    ({"0-5.q": {"scale": None}}, "placement.cells: 0.q has scale=null; legal: a number above 0"),
    ({"0-5.q": {"scale": 0}}, "placement.cells: 0.q has scale=0; legal: a number above 0"),
    ({"0-5.q": {"dropout": 2}}, "placement.cells: 0.q has dropout=2; legal: a number from 0 to 1"),
    ({"0-5.q": {}, "5.q": {}}, "placement.cells names the site 5.q twice, the second time in 5.q"),
    ({"0-12.q": {}}, "placement.cells: 0-12.q: depth=0-12 is outside the backbone"),
    ({"0-5.z": {}}, "placement.cells: 0-5.z: position=z is not a position"),
    ({"0-5.q": 8}, "placement.cells.0-5.q=8 is not a mapping"),
    (["0.q"], "placement.cells=['0.q'] is not legal; legal: a mapping or null"),
    ({"0-5.q": {"rank": "None"}}, "placement.cells.0-5.q.rank=None is the word None"),
]


@pytest.mark.parametrize(("cells", "words"), CELLS, ids=[str(cells) for cells, _ in CELLS])
def test_wrong_cells_are_one_sentence(change: Change, cells: Any, words: str) -> None:
    text = refused(change({"placement.cells": cells}, placement="cells"))
    assert text.startswith(words)


def test_options_of_a_site_are_those_of_its_method(change: Change) -> None:
    cells = {"placement.cells": {"0.ffn": {"bottleneck": 8, "scale": 0.5}}}
    check(change(cells, peft="adaptformer", placement="cells"))
    rank = {"placement.cells": {"0.ffn": {"rank": 8}}}
    assert "0.ffn has the option rank=8; legal: bottleneck," in refused(
        change(rank, peft="adaptformer", placement="cells")
    )
    scale = {"placement.cells": {"0.q": {"scale": 2.0}}}
    assert refused(change(scale, peft="bitfit", placement="cells")).endswith("legal: none")


def test_the_placement_that_was_checked_is_the_one_that_is_resolved(change: Change) -> None:
    config = change({"placement.depth": "75%-100%", "placement.position": "attn_qv"})
    placed = resolve_placement(config, block_labels(12))
    assert list(placed["peft"]) == [Site(block, name) for block in (9, 10, 11) for name in ("q", "v")]
    assert len(resolve_placement(config, block_labels(24))["peft"]) == 12
    assert resolve_placement(change(peft="linear_probe"), block_labels(12)) == {"peft": {}}
    own = ("q", "k", "v", "out", "mlp1", "mlp2")  # of a plain ViT
    assert len(resolve_placement(change(), block_labels(12), own)["peft"]) == 12 * len(own)
    check_cells(placed, config)


def test_gamma_of_a_run_as_a_placement(change: Change, tmp_path: Path) -> None:
    (tmp_path / "gamma.csv").write_text("site,gamma,ratio\n0.q,1.5,0.1\n3.v,0.5,0.2\n")
    here = {"placement.run": str(tmp_path)}

    def config(**values: Any) -> dict[str, Any]:
        return change(
            {**here, **{f"placement.{key}": value for key, value in values.items()}}, placement="from_gamma"
        )

    check(config(keep=1))
    check(config(threshold=0.5))
    assert list(resolve_placement(config(keep=1, by="ratio"), block_labels(12))["peft"]) == [Site(3, "v")]
    for values, words in (
        ({}, "placement.threshold=null and placement.keep=null: "),
        ({"keep": 0}, "placement.keep=0 is not legal; legal: a whole number above 0 or null"),
        ({"keep": -1}, "placement.keep=-1 is not legal"),
        ({"keep": 3}, "placement.keep=3 is more than the 2 sites"),
        ({"threshold": 2}, "placement.threshold=2 keeps no site: the largest gamma"),
        ({"keep": 1, "by": "block"}, "placement.by=block is not legal; legal: gamma, ratio"),
        ({"keep": 1, "run": "???"}, "placement.run has no value yet; give one with placement.run=VALUE"),
        ({"keep": 1, "run": str(tmp_path / "no")}, f"placement.run={tmp_path / 'no'} has no gamma.csv"),
    ):
        assert refused(config(**values)).startswith(words)


def test_every_group_is_checked() -> None:
    folders = {path.name for path in config_dir().iterdir() if path.is_dir()}
    assert folders - set(GROUPS) == {"experiment", "wandb"}  # wandb's own file, and whole command lines
    assert set(GROUPS) <= folders
