"""The shape of a config: every key known, given and of its kind; one wrong input each, one sentence each."""

from collections.abc import Callable
from typing import Any

import pytest

from peftlab.config.directory import config_dir
from peftlab.config.resolve import resolve
from peftlab.config.schema import GROUPS, check_schema
from peftlab.errors import UserError

DELETE = "(delete)"
Change = Callable[..., dict[str, Any]]
Refused = Callable[[dict[str, Any]], str]
Matches = Callable[[str, str], bool]

WRONG: list[tuple[dict[str, Any], str]] = [
    # unknown keys, also those that a + lets through
    ({"foo": 1}, "foo=1 is not a key of the config; legal: backbone, baseline, dataset, "),
    ({"sede": 1}, "sede=1 is not a key of the config; legal: .*, trust (did you mean seed?)"),
    ({"peft.rnk": 3}, "peft.rnk=3 is not a key of peft; legal: depth, dropout, .*(did you mean rank?)"),
    ({"fit.epoch": 3}, "fit.epoch=3 is not a key of fit; .*(did you mean epochs?)"),
    ({"dataset.source.rot": 3}, "dataset.source.rot=3 is not a key of dataset.source; legal: "),
    ({"loss._convert_": "all"}, "loss._convert_=all is not a key of loss; legal: tau"),
    # missing keys and groups
    ({"seed": DELETE}, "seed is missing; legal: seed=VALUE, with a whole number from 0 "),
    (
        {"peft.rank": DELETE},
        "peft.rank is missing; legal: peft.rank=VALUE, with a whole number from 1 to 4096",
    ),
    ({"optim": DELETE}, "optim is missing from the config; legal: optim=NAME, of adamw, sgd"),
    ({"optim": None}, "optim=null is not a choice of the group optim; legal: optim=NAME, of adamw, sgd"),
    ({"optim": "sgd"}, "optim=sgd is not a choice of the group optim; legal: optim=NAME, of adamw, sgd"),
    ({"backbone.name": "???"}, "backbone.name has no value yet; legal: backbone.name=VALUE"),
    # wrong kinds
    ({"seed": None}, "seed=null is not legal; legal: a whole number from 0 to 9223372036854775807"),
    ({"seed": -1}, "seed=-1 is not legal; legal: a whole number from 0 to 9223372036854775807"),
    ({"seed": 1.5}, "seed=1.5 is not legal; "),
    ({"seed": True}, "seed=true is not legal; "),
    ({"seed": "0"}, "seed=0 is not legal; "),
    ({"device": "gpu"}, "device=gpu is not legal; legal: auto, cpu, cuda"),
    ({"resume": 1}, "resume=1 is not legal; legal: true or false"),
    ({"baseline": 3}, "baseline=3 is not legal; legal: a word or null"),
    ({"peft.rank": -8}, "peft.rank=-8 is not legal; legal: a whole number from 1 to 4096"),
    ({"peft.rank": 0}, "peft.rank=0 is not legal; legal: a whole number from 1 to 4096"),
    ({"peft.rank": 8.0}, "peft.rank=8.0 is not legal; legal: a whole number from 1 to 4096"),
    ({"peft.rank": "eight"}, "peft.rank=eight is not legal; legal: a whole number from 1 to 4096"),
    ({"peft.dropout": 1.2}, "peft.dropout=1.2 is not legal; legal: a number from 0 to below 1"),
    ({"optim.lr": 0}, "optim.lr=0 is not legal; legal: a number above 0"),
    ({"optim.lr": float("nan")}, "optim.lr=nan is not legal; legal: a number above 0"),
    ({"fit.epochs": -1}, "fit.epochs=-1 is not legal; legal: a whole number from 0 to 100000"),
    ({"fit.precision": "fp16"}, "fit.precision=fp16 is not legal; legal: fp32, bf16"),
    ({"fit.select": "test"}, "fit.select=test is not legal; legal: last, best"),
    (
        {"dataset.imbalance": "30"},
        "dataset.imbalance=30 is not legal; legal: a number from 1 to 1000000 or null",
    ),
    ({"dataset.crop_scale": ["a", 1]}, "dataset.crop_scale=['a', 1] is not legal; legal: a list of a number"),
    ({"dataset.groups": None}, "dataset.groups=null is not legal; legal: a mapping"),
    ({"head.init": "zeros"}, "head.init=zeros is not legal; legal: class_mean, linear_probe, random"),
    ({"head.scale": 0}, "head.scale=0 is not legal; legal: a number above 0"),
    ({"loss.tau": -1}, "loss.tau=-1 is not legal; legal: a number from 0 to 100"),
    # the word None
    (
        {"peft.dropout": "None"},
        "peft.dropout=None is not legal; legal: a number from 0 to below 1",
    ),
    (
        {"fit.clip_norm": "none"},
        "fit.clip_norm=none is not legal; legal: a number above 0 and at most 1000000 or null",
    ),
    ({"backbone.checkpoint": "None"}, "backbone.checkpoint=None is the word None"),
    ({"baseline": "None"}, "baseline=None is the word None"),
    ({"backbone.model_args": {"img_size": "None"}}, "backbone.model_args.img_size=None is the word None"),
    ({"dataset.mean": ["None"]}, "dataset.mean=['None'] is not legal; legal: a list of a number"),
    # targets
    (
        {"peft._target_": "peftlab.peft.lora.Lorra"},
        "peft._target_=peftlab.peft.lora.Lorra is none of the ",
    ),
    (
        {"head._target_": "os.system"},
        "head._target_=os.system is none of the project's functions for head; ",
    ),
    ({"head._target_": 3}, "head._target_=3 is none of the project's functions for head; legal: "),
    # of parts
    ({"peft.scale": 0}, "peft.scale=0 is not legal; legal: a number above 0 and at most 1000000 or null"),
    ({"peft.depth": DELETE}, "peft.depth=null is not legal; legal: "),
]


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[str(values)[:60] for values, _ in WRONG])
def test_a_wrong_value_is_one_sentence(
    change: Change, refused: Refused, matches: Matches, values: dict[str, Any], words: str
) -> None:
    text = refused(change(values))
    assert matches(text, words), text
    with pytest.raises(UserError):
        check_schema(change(values))  # it needs no rule of a group for that


def test_a_word_none_that_is_a_choice_is_legal(change: Change, refused: Refused) -> None:
    resolve(change({"dataset.augment": "none"}))
    assert refused(change({"dataset.augment": "None"})).startswith(
        "dataset.augment=None is not legal; legal: "
    )
    resolve(change(tracker="none"))


def test_seed_0_is_legal(change: Change) -> None:
    resolve(change({"seed": 0}))
    resolve(change({"seed": 2**40}))


def test_every_group_is_checked() -> None:
    folders = {path.name for path in config_dir().iterdir() if path.is_dir()}
    assert folders - set(GROUPS) == {"experiment", "recipe", "hydra"}  # words of several groups; Hydra's own
    assert set(GROUPS) <= folders
