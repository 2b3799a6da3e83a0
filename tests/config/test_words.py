"""Words that Hydra takes and no run has a meaning for: several choices, a place that is none."""

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from peftlab.config.compose import opened_configs
from peftlab.config.directory import names_of
from peftlab.config.words import check_choices, check_places
from peftlab.errors import UserError
from peftlab.record.whole_file import WAY_OUT

PEFT = ", ".join(names_of("peft"))


def composed(*words: str, mode: RunMode = RunMode.RUN) -> DictConfig:
    with opened_configs():
        return GlobalHydra.instance().config_loader().load_configuration("config", list(words), run_mode=mode)


def refused(*words: str, key: str) -> str:
    config = composed(*words, mode=RunMode.MULTIRUN if key == "hydra.sweep.dir" else RunMode.RUN)
    with pytest.raises(UserError) as error:
        check_places(config, key)
    return str(error.value)


@pytest.mark.parametrize(
    "word", ["peft=null", "peft=3", "peft=", "peft={a: 1}", "peft=[]", "peft=true", "peft=lora,3"]
)
def test_what_is_no_name_is_no_choice(word: str) -> None:
    with pytest.raises(UserError) as error:
        check_choices(["resume=false", "peft.rank=null", word])
    assert str(error.value) == f"{word} is not a choice of the group peft; legal: {PEFT}"


def test_a_value_without_a_key_is_none() -> None:
    with pytest.raises(UserError, match=r"^=3 has no key; legal: KEY=VALUE$"):
        check_choices(["seed=0", "=3"])


@pytest.mark.parametrize("group", ["peft", "scaling/estimator"])
def test_two_choices_are_not_merged(group: str) -> None:
    one, other = names_of(group)[:2]
    with pytest.raises(UserError) as error:
        check_choices([f"{group}=[{one},{other}]"])
    assert str(error.value).startswith(
        f"{group}=[{one},{other}] chooses several of the group {group}, which has one; "
    )
    assert str(error.value).endswith(f"or a sweep with peftlab -m {group}={one},{other}")


@pytest.mark.parametrize(
    "word",
    [
        "peft=lora",
        "peft=lora,ssf",
        "peft='lora'",
        "~peft",
        "experiment=null",
        "recipe=null",
        "peft.rank=null",
        "a",
        "-m",
        "x=(",
    ],
)
def test_all_other_words_are_left_to_hydra(word: str) -> None:
    check_choices([word])


@pytest.mark.parametrize("key", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_place_that_cannot_be_a_folder(tmp_path: Path, key: str) -> None:
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below"):
        said = refused(f"{key}={place}", key=key)
        it = "it" if place == file else file
        assert said == f"{key}={place} cannot be written: {it} is not a folder; {WAY_OUT}"
    assert refused(f"{key}=", key=key).startswith(f"{key} is empty; legal: a folder, ")
    check_places(composed(f"{key}={tmp_path}/new"), key)


def test_a_sweep_has_jobs_in_folders_of_their_own() -> None:
    size = "hydra.sweeper.max_batch_size"
    for number in (0, -1):
        said = refused(f"{size}={number}", key="hydra.sweep.dir")
        assert said == f"{size}={number} is not legal; legal: a whole number above 0, or null"
    assert refused("hydra.sweep.subdir=", key="hydra.sweep.dir").startswith(
        "hydra.sweep.subdir= is empty; legal: "
    )
    assert refused("seed=0,1", "hydra.sweep.subdir=x", key="hydra.sweep.dir").startswith(
        "hydra.sweep.subdir=x is one folder for all jobs; legal: another one for each job, as '${hydra.job.num}'"
    )
    for word in ("hydra.sweep.subdir=${hydra.job.num}", "seed=0"):
        check_places(composed("seed=0,1", word, mode=RunMode.MULTIRUN), "hydra.sweep.dir")
    check_places(composed(f"{size}=1", mode=RunMode.MULTIRUN), "hydra.sweep.dir")


def test_experiments_may_lie_in_folders_and_parts_of_a_choice_are_none() -> None:
    assert {"placement_grid", "fig1c_grid/full", "fig1c_grid/small"} <= set(names_of("experiment"))
    assert not any("/" in name for name in names_of("scaling"))
