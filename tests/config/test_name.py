"""Folders: the same config has the same name, another one another, and no name leaves [a-z0-9_-]."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, open_dict

from peftlab.config.compose import opened_configs
from peftlab.config.name import (
    VOLATILE,
    VOLATILE_IN,
    choices,
    config_hash,
    job_name,
    run_name,
    sweep_name,
    task_config,
)

LEGAL = re.compile(r"[a-z0-9][a-z0-9_-]*")
Load = Callable[..., DictConfig]
SWEEP = ("placement.depth=0-2,3-5", "placement.position=q,k,v")


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    """A command line, composed as Hydra's main does it; composed once for all tests."""
    known: dict[tuple[tuple[str, ...], bool], DictConfig] = {}
    with opened_configs():
        loader = GlobalHydra.instance().config_loader()

        def make(*words: str, sweep: bool = False) -> DictConfig:
            if (words, sweep) not in known:
                mode = RunMode.MULTIRUN if sweep else RunMode.RUN
                known[words, sweep] = loader.load_configuration("config", list(words), run_mode=mode)
            return known[words, sweep]

        yield make


def typed(root: DictConfig, words: list[str], experiment: str | None = None) -> DictConfig:
    """The same composed config with other words on its command line."""
    other = copy.deepcopy(root)
    with open_dict(other):
        other.hydra.overrides.task = words
        if experiment is not None:
            other.hydra.runtime.choices["experiment"] = experiment
    return other


def leaves(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


@pytest.mark.parametrize(
    ("words", "epochs"),
    [
        ((), 10),
        (("dataset=moving_digits",), 10),
        (("dataset=trec_lt",), 3),
        (("dataset=svamp", "task=generate"), 3),
        (("dataset=trec_lt", "recipe=lift"), 10),
        (("dataset=trec_lt", "fit.epochs=7"), 7),
    ],
)
def test_texts_are_read_fewer_times_where_nothing_is_said(
    load: Load, words: tuple[str, ...], epochs: int
) -> None:
    assert task_config(load(*words))["fit"]["epochs"] == epochs


def test_the_task_config_is_plain_and_has_no_part_of_hydra(load: Load) -> None:
    config = task_config(load())
    assert "hydra" not in config
    assert json.loads(json.dumps(config)) == config
    assert config["seed"] == 0


def test_any_key_that_changes_numbers_changes_the_hash_and_volatile_keys_do_not(load: Load) -> None:
    config = task_config(load("scaling=meta"))
    volatile = {(key,) for key in VOLATILE} | {
        (group, key) for group, keys in VOLATILE_IN.items() for key in keys
    }
    reference, seen = config_hash(config), set()
    paths = [path for path, _ in leaves(config)]
    assert len(paths) > 70
    for path in paths:
        other = copy.deepcopy(config)
        node = other
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = "another value"
        changed = config_hash(other)
        aside = path[:1] in volatile or path[:2] in volatile
        assert (changed == reference) == aside, path
        if not aside:
            seen.add(changed)
    assert len(seen) == len(paths) - sum(path[:1] in volatile or path[:2] in volatile for path in paths)


def test_nothing_that_changes_numbers_is_volatile() -> None:
    """A new entry in this list is a claim about numbers: make it here too."""
    assert set(VOLATILE) == {"device", "resume", "tracker", "baseline", "recipes", "trust"}
    assert {key: set(keys) for key, keys in VOLATILE_IN.items()} == {
        "dataset": {"num_workers"},
        "fit": {"save_every", "eval_batch_size", "stop_after", "checkpointing"},
    }


def test_a_recipe_counts_only_where_it_is_used(load: Load) -> None:
    """The table of an experiment may gain a method without starting all others over."""
    config = task_config(load())
    assert config_hash({**config, "recipes": {"lora": {"lr": 1.0}}}) == config_hash(config)


def test_a_key_more_or_less_changes_the_hash(load: Load) -> None:
    config = task_config(load())
    assert config_hash({**config, "extra": None}) != config_hash(config)
    del config["optim"]["beta1"]
    assert config_hash(config) != config_hash(task_config(load()))


def test_a_key_that_older_runs_lack_is_no_part_of_the_hash_where_it_says_what_they_did(load: Load) -> None:
    config = task_config(load())
    older = {**config, "fit": {key: value for key, value in config["fit"].items() if key != "compile"}}
    assert config_hash(older) == config_hash(config)
    assert config_hash({**config, "fit": {**config["fit"], "compile": True}}) != config_hash(config)
    newer = {
        "class_names": "words.txt",
        "templates": ["a {}."],
        "classes": "base",
        "val_max_per_class": 4,
        "shift": "noise",
        "shift_severity": 5,
    }
    older = {key: value for key, value in config["dataset"].items() if key not in newer}
    assert config_hash({**config, "dataset": older}) == config_hash(config)
    for key, value in newer.items():
        assert config_hash({**config, "dataset": {**config["dataset"], key: value}}) != config_hash(config)


def test_the_order_of_keys_is_no_part_of_the_hash(load: Load) -> None:
    config = task_config(load())
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in config.items()
    }
    assert config_hash(dict(reversed(turned.items()))) == config_hash(config)


def test_the_hash_does_not_depend_on_the_process() -> None:
    """Python salts its own hash() anew in each."""
    code = "from peftlab.config.name import config_hash; print(config_hash({'a': [1, 'x'], 'seed': 0}))"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout == config_hash({"seed": 0, "a": [1, "x"]}) + "\n"


def test_a_run_is_named_by_its_choices_its_seed_and_its_hash(load: Load) -> None:
    root = load("peft=bitfit", "dataset=cifar100", "seed=3")
    assert run_name(root) == f"cifar100-bitfit-grid-fixed-s3-{config_hash(task_config(root))[:8]}"


def test_the_same_config_has_the_same_folder_however_it_was_typed(load: Load) -> None:
    plain = load()
    assert run_name(load("seed=0", "peft=lora", "peft.rank=8")) == run_name(plain)
    assert run_name(load("resume=false", "device=cpu", "fit.save_every=3", "tracker=wandb")) == run_name(
        plain
    )
    names = [
        run_name(load(word))
        for word in ("seed=1", "peft.rank=4", "scaling=meta", "optim.lr=0.02", "head=linear")
    ]
    assert len({*names, run_name(plain)}) == 6


def test_the_run_folder_of_the_yaml_is_this_name(load: Load) -> None:
    assert load().hydra.run.dir == f"outputs/{run_name(load())}"


def test_choices_are_what_was_typed_and_chooses_a_cell(load: Load) -> None:
    words = ["placement.depth=0-2", "placement.position=[q,v]", "seed=1", "+peft.extra=1", "tracker=wandb"]
    words += [
        "experiment=alpha",
        "resume=false",
        "device=cpu",
        "tracker.project=x",
        "fit.save_every=2",
        "fit.stop_after=1",
        "fit.eval_batch_size=2",
        "recipes.lora.lr=2",
        "~peft.dropout",
    ]
    assert choices(typed(load(), words)) == {
        "placement.depth": "0-2",
        "placement.position": "[q,v]",
        "seed": "1",
        "peft.extra": "1",
    }


def test_a_key_that_only_begins_like_a_volatile_one_is_a_choice(load: Load) -> None:
    words = ["trackers=1", "hydraulics=1", "experiments.x=2", "resumed=1", "fit.save_everything=1"]
    assert set(choices(typed(load(), words))) == {word.partition("=")[0] for word in words}


def test_a_job_is_named_by_its_choices(load: Load) -> None:
    root = load("placement.depth=-3--1", "placement.position=q", "seed=2")
    name = job_name(root)
    assert name == f"depth-m3-m1_position-q_seed-2-{config_hash(task_config(root))[:8]}"
    assert job_name(load("placement.depth=0%-75%")).startswith("depth-0p-75p-")
    assert LEGAL.fullmatch(job_name(load()))


def test_a_job_that_the_folder_has_under_another_name_keeps_it(load: Load, tmp_path: Path) -> None:
    """`peft=lora,full seed=0` and then `peft=lora seed=0,1` with one hydra.sweep.dir: lora's seed 0 is there already."""
    first, second = (copy.deepcopy(load("peft=lora", "peft.rank=4", "seed=1")) for _ in range(2))
    for root, constant in ((first, ["peft.rank", "seed"]), (second, ["peft.rank", "peft"])):
        with open_dict(root):
            root.hydra.sweep.dir = str(tmp_path)
            root.hydra.job.config.override_dirname.exclude_keys = constant
    digest = config_hash(task_config(first))[:8]
    assert (job_name(first), job_name(second)) == (f"peft-lora-{digest}", f"seed-1-{digest}")
    with open_dict(second):
        second.hydra.job.config.override_dirname.exclude_keys = ["peft", "peft.rank", "seed"]
    assert job_name(second) == f"peft-lora_rank-4_seed-1-{digest}"
    (tmp_path / job_name(first)).mkdir()
    assert job_name(first) == job_name(second) == f"peft-lora-{digest}"
    assert choices(second) == {"peft": "lora", "peft.rank": "4", "seed": "1"}


def test_jobs_whose_words_look_alike_are_told_apart(load: Load) -> None:
    one, two = load("placement.position=[q,v]"), load("placement.position=[q,k]")
    assert job_name(one) != job_name(two)
    long = [f"peft.rank={rank}" for rank in (1, 2)]
    padding = [
        "placement.depth=[" + ",".join(map(str, range(12))) + "]",
        "placement.position=[q,k,v,out,mlp1,mlp2]",
    ]
    padding += ["backbone=vit_base_patch16_224.augreg_in21k", "dataset=cifar100_lt"]
    names = [job_name(load(*padding, word)) for word in long]
    assert names[0] != names[1]
    assert max(map(len, names)) < 140


def test_the_same_sweep_has_the_same_folder(load: Load) -> None:
    name = sweep_name(load(*SWEEP, sweep=True))
    assert LEGAL.fullmatch(name)
    assert name.startswith("depth-position-")
    assert sweep_name(load(*reversed(SWEEP), sweep=True)) == name
    for more in ("tracker=wandb", "resume=false", "device=cpu", "dataset.num_workers=2", "fit.save_every=5"):
        assert sweep_name(load(*SWEEP, more, sweep=True)) == name
    assert sweep_name(load(*SWEEP, 'baseline="placement.depth=0-2,placement.position=q"', sweep=True)) == name


def test_two_sweeps_with_different_choices_never_share_a_folder(load: Load) -> None:
    sweeps: list[tuple[str, ...]] = [
        SWEEP,
        SWEEP[:1],
        (SWEEP[0], "placement.position=q,k"),
        (*SWEEP, "seed=0,1"),
        (*SWEEP, "seed=0,1,2"),
        (*SWEEP, "dataset=cifar100_lt"),
        (*SWEEP, "optim.lr=0.02"),
        (*SWEEP, "scaling=learned"),
        ("placement.depth=[0,1],[2,3]",),
        ("placement.depth=[0,1],[2,4]",),
        ("experiment=alpha",),
        ("experiment=alpha", "seed=1"),
        ("experiment=alpha", "scaling.value=1,2"),
        ("experiment=meta",),
        ("experiment=placement_grid",),
        (),
    ]
    names = [sweep_name(load(*words, sweep=True)) for words in sweeps]
    assert len(set(names)) == len(names)
    assert all(LEGAL.fullmatch(name) for name in names)
    assert names[10].startswith("alpha-")
    assert names[14].startswith("placement_grid-")


def test_a_changed_yaml_is_another_sweep(load: Load) -> None:
    root = load(*SWEEP, sweep=True)
    other = copy.deepcopy(root)
    other.optim.lr = 0.5
    assert sweep_name(other) != sweep_name(root)
    params = copy.deepcopy(root)
    with open_dict(params):
        params.hydra.sweeper.params = {"scaling.value": "1,2"}
    assert sweep_name(params) != sweep_name(root)


WORDS = st.lists(
    st.builds(
        lambda sign, key, value: f"{sign}{key}={value}",
        st.sampled_from(["", "+", "++"]),
        st.sampled_from(["placement.depth", "backbone.checkpoint", "seed", "peft", "scaling/estimator"]),
        st.text(max_size=40),
    ),
    max_size=6,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(words=WORDS)
def test_any_words_give_a_legal_folder_name(load: Load, words: list[str]) -> None:
    root = load()
    before = list(root.hydra.overrides.task)
    try:
        with open_dict(root):
            root.hydra.overrides.task = words
        for name in (job_name(root), sweep_name(root), run_name(root)):
            assert LEGAL.fullmatch(name), name
            assert len(name) < 200
    finally:
        root.hydra.overrides.task = before
