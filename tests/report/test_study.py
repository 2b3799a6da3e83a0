"""The trials of a study: a function of what is written down, so that a stop changes nothing."""

import json
from math import log10, nan
from pathlib import Path

import pytest

from peftlab.errors import UserError
from peftlab.report.study.space import Axis, Space
from peftlab.report.study.study import FILE, Options, Study, check_study

pytest.importorskip("optuna")
SPACE = Space(
    {
        "lr": Axis("lr=tag(log,interval(1e-4,1e-1))", (), 1e-4, 1e-1, True),
        "rank": Axis("rank=range(1,17)", tuple(range(1, 17)), 1, 16),
        "position": Axis("position=q,v", ("q", "v")),
    },
    ("seed=0",),
    (),
)
GRID = Space({"rank": Axis("r", (1, 2, 3), 1, 3), "position": Axis("p", ("q", "v"))}, (), ())


def options(sampler: str = "tpe", n_trials: int = 14, n_jobs: int = 3) -> Options:
    return Options(n_trials, n_jobs, sampler, 0, "mean_acc")


def reached(lr: float, rank: int, position: str) -> float:
    """Best at 0.01, 4, v."""
    return 1 - abs(log10(lr) + 2) / 4 - abs(rank - 4) / 40 - (position == "q") / 10


def go_on(study: Study, rounds: int = 1000) -> None:
    while rounds and (numbers := study.ask()):
        rounds -= 1
        study.save()
        for number in numbers:
            study.tell(number, [reached(**study.trials[number]["params"])])


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_study_that_is_stopped_anywhere_tries_the_same(tmp_path: Path, sampler: str) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    whole = Study(tmp_path / "whole", SPACE, options(sampler))
    go_on(whole)
    assert len(whole.trials) == 14
    for rounds in (1, 2):
        go_on(Study(tmp_path / "parts", SPACE, options(sampler)), rounds)
    killed = Study(tmp_path / "parts", SPACE, options(sampler))
    numbers = killed.ask()
    killed.save()
    killed.tell(numbers[0], [reached(**killed.trials[numbers[0]]["params"])])
    parts = Study(tmp_path / "parts", SPACE, options(sampler))
    assert parts.ask() == numbers[1:], "what was asked for and has not ended comes first"
    go_on(parts)
    assert (tmp_path / "parts" / FILE).read_text() == (tmp_path / "whole" / FILE).read_text()


@pytest.mark.slow
def test_tpe_finds_more_than_chance(tmp_path: Path) -> None:
    """The mean of the best of 40 trials over five seeds; the highest there is, is 1."""
    found = {}
    for sampler in ("tpe", "random"):
        best = []
        for seed in range(5):
            own = options(sampler, 40, 4)._replace(seed=seed)
            study = Study(tmp_path / f"{sampler}{seed}", SPACE, own)
            go_on(study)
            assert study.best is not None
            best.append(study.trials[study.best]["value"])
        found[sampler] = sum(best) / len(best)
    assert found["tpe"] > found["random"]
    assert found["tpe"] > 0.95


def test_more_trials_go_on_with_those_that_are_there(tmp_path: Path) -> None:
    go_on(Study(tmp_path / "more", SPACE, options(n_trials=6)))
    go_on(Study(tmp_path / "more", SPACE, options(n_trials=12)))
    go_on(Study(tmp_path / "once", SPACE, options(n_trials=12)))
    more, once = (json.loads((tmp_path / name / FILE).read_text()) for name in ("more", "once"))
    assert more == once


def test_a_grid_has_every_combination_once(tmp_path: Path) -> None:
    study = Study(tmp_path, GRID, options("grid", 100, 4))
    while numbers := study.ask():
        for number in numbers:
            study.tell(number, [0.5])
        study = Study(tmp_path, GRID, options("grid", 100, 4))
    tried = {(trial["params"]["rank"], trial["params"]["position"]) for trial in study.trials}
    assert len(tried) == len(study.trials) == 6
    with pytest.raises(UserError, match="sampler=grid has no end with lr=tag"):
        Study(tmp_path / "other", SPACE, options("grid"))


def test_what_fails_is_told_and_tried_again_and_what_diverges_is_worse_than_all(tmp_path: Path) -> None:
    study = Study(tmp_path, SPACE, options(n_trials=4, n_jobs=4))
    assert study.best is None
    for number, values in zip(study.ask(), ([0.2], [None], [nan], [0.1]), strict=True):
        study.tell(number, values)
    assert [trial["state"] for trial in study.trials] == ["ok", "failed", "diverged", "ok"]
    assert study.best == 0
    assert study.ask() == []
    again = Study(tmp_path, SPACE, options(n_trials=4))
    assert again.ask() == [1]
    again.tell(1, [0.9])
    assert again.best == 1


def test_seeds_are_averaged_and_one_that_fails_fails_its_trial(tmp_path: Path) -> None:
    study = Study(tmp_path, SPACE, options(n_trials=3))
    for number, values in zip(study.ask(), ([0.2, 0.4], [0.9, None], [0.9, nan]), strict=True):
        study.tell(number, values)
    assert [trial["state"] for trial in study.trials] == ["ok", "failed", "diverged"]
    assert study.trials[0]["value"] == pytest.approx(0.3)


def test_the_file_of_another_study_is_kept(tmp_path: Path) -> None:
    go_on(Study(tmp_path, SPACE, options(n_trials=3)))
    before = (tmp_path / FILE).read_text()
    with pytest.raises(
        UserError, match=r"is of a study with another space; legal: another hydra\.sweep\.dir"
    ):
        Study(tmp_path, GRID, options())
    with pytest.raises(UserError, match="another metric"):
        Study(tmp_path, SPACE, options()._replace(metric="tail_acc"))
    assert (tmp_path / FILE).read_text() == before
    assert Study(tmp_path, GRID, options(), resume=False).trials == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"n_trials": 0}, "hydra.sweeper.n_trials=0 is not legal; legal: a whole number from 1"),
        ({"n_jobs": True}, "hydra.sweeper.n_jobs=True is not legal"),
        ({"seed": -1}, "hydra.sweeper.seed=-1 is not legal; legal: a whole number from 0"),
        ({"sampler": "tree"}, "hydra.sweeper.sampler=tree is not legal; legal: tpe, random, gp, cmaes, grid"),
    ],
)
def test_wrong_options_are_refused(more: dict[str, object], sentence: str) -> None:
    check_study(options())
    with pytest.raises(UserError, match=sentence):
        check_study(options()._replace(**more))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="legal: peftlab without torchrun"):
        check_study(options(), is_several=True)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peftlab.report.study.study.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r'optuna is not installed; legal: after pip install "peftlab\[optuna\]"'
    ):
        check_study(options())
