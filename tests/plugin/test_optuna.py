"""hydra/sweeper=optuna from the command line, with runs that only pretend, and once with real ones."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.answers import words_of, write_answers

pytest.importorskip("optuna")
STUDY = (
    *("-m", "hydra/sweeper=optuna", "dataset.val_fraction=0.2", "fit.epochs=2", "hydra.sweep.dir=s"),
    *("hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=3"),
)
Call = Callable[..., SimpleNamespace]
Trained = list[tuple[int, int, int]]


def study(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "study.json").read_text())
    return found


def states(folder: Path) -> dict[int, str]:
    """By rank."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*/status.json"))]
    return {int(said["choices"]["peft.rank"]): said["state"] for said in found}


def test_the_best_on_validation_is_tested_and_no_other(call: Call, trained: Trained, tmp_path: Path) -> None:
    said = call(*STUDY, "peft.rank=range(1,13)", "seed=0,1")
    assert said.code == 0, said.err
    trials = study(tmp_path / "s")["trials"]
    assert len(trials) == 8
    ranks = {trial["params"]["peft.rank"] for trial in trials}
    best = max(ranks)
    assert all(trial["value"] == trial["params"]["peft.rank"] / 100 for trial in trials)
    assert len(trained) == len(set(trained)) == 2 * 2 * len(ranks), "what is asked for twice is trained once"
    assert states(tmp_path / "s") == {rank: "ok" if rank == best else "stopped" for rank in ranks}
    assert f"peft.rank={best}: mean_acc 0.{best:02d}00 (the highest of 8, so rather too high)" in said.out
    assert f"its test: mean {best}.0 %" in said.out
    (line,) = [line for line in said.out.splitlines() if line.startswith("to run it: ")]
    words = shlex.split(line.removeprefix("to run it: "))
    assert words == [
        *("peftlab", "-m", "dataset.val_fraction=0.2", "fit.epochs=2", f"peft.rank={best}", "seed=0,1")
    ]
    trained.clear()
    assert call(*STUDY, "peft.rank=range(1,13)", "seed=0,1").code == 0
    assert trained == [], "a study that is over costs nothing"
    assert call(*words[1:], "hydra.sweep.dir=again").code == 0
    assert len(trained) == 4


def test_a_study_that_was_interrupted_goes_on_with_the_same_trials(
    call: Call, trained: Trained, kill: dict[str, tuple[int, int, int]], tmp_path: Path
) -> None:
    words = (*STUDY, "peft.rank=range(1,13)")
    assert call(*words, "hydra.sweep.dir=whole").code == 0
    epochs = list(trained)
    trained.clear()
    kill["at"] = epochs[5]
    assert call(*words).code == 130
    assert len(study(tmp_path / "s")["trials"]) in (3, 6)
    assert call(*words).code == 0
    assert trained == epochs
    assert study(tmp_path / "s") == study(tmp_path / "whole")


def test_a_trial_that_fails_or_diverges_does_not_end_the_study(
    call: Call, trained: Trained, tmp_path: Path
) -> None:
    words = (*STUDY, "hydra.sweeper.sampler=grid", "peft.rank=12,13,14,15")
    said = call(*words)
    assert said.code == 1
    found = {trial["params"]["peft.rank"]: trial["state"] for trial in study(tmp_path / "s")["trials"]}
    assert found == {"12": "ok", "13": "failed", "14": "diverged", "15": "ok"}
    assert states(tmp_path / "s") == {12: "stopped", 13: "failed", 14: "diverged", 15: "ok"}
    assert "study: 4 trials by grid (1 diverged, 1 failed, 2 ok)" in said.out


def test_resume_false_starts_over_once(call: Call, trained: Trained) -> None:
    words = (*STUDY, "hydra.sweeper.sampler=grid", "peft.rank=2,8")
    assert call(*words).code == 0
    assert call(*words, "resume=false").code == 0
    assert len(trained) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dataset.val_fraction=0"], "dataset.val_fraction=0 leaves a study no items to choose by"),
        (
            ["fit.stop_after=1"],
            "fit.stop_after=1 is what a study sets; legal: null with hydra/sweeper=optuna",
        ),
        (["hydra.sweeper.sampler=tree"], "hydra.sweeper.sampler=tree is not legal; legal: tpe, random"),
        (["peft.rank=interval(0.1,0.9)"], "peft.rank="),
        (["peft.rank=4"], "hydra/sweeper=optuna has nothing to search"),
        (["optim.lr=-1"], "optim.lr=-1"),
    ],
)
def test_a_study_that_cannot_be_is_refused_before_the_first_job(
    call: Call, trained: Trained, tmp_path: Path, words: list[str], sentence: str
) -> None:
    said = call(*STUDY, "peft.rank=range(2,9)", *words)
    assert (said.code, said.err.count("\n")) == (2, 1), said.err
    assert sentence in said.err
    assert not (tmp_path / "s").exists()


def test_a_metric_that_is_not_measured_is_named(call: Call, trained: Trained) -> None:
    said = call(*STUDY, "peft.rank=range(2,9)", "hydra.sweeper.metric=accuracy")
    assert said.code == 2
    assert "hydra.sweeper.metric=accuracy is not measured; legal: mean_acc" in said.err


def test_runs_that_write_answers_are_compared_by_their_likelihood(call: Call, tmp_path: Path) -> None:
    words = (
        *STUDY,
        *words_of(write_answers(tmp_path / "sums")),
        "hydra.sweeper.n_trials=2",
        "peft.rank=range(1,9)",
    )
    said = call(*words, "hydra.sweeper.metric=bleu")
    assert (said.code, said.err.count("\n")) == (2, 1), said.err
    assert (
        "hydra.sweeper.metric=bleu cannot be compared with task=generate; legal: log_likelihood" in said.err
    )
    assert not (tmp_path / "s").exists()
    assert call(*words).code == 0
    found = study(tmp_path / "s")
    assert found["metric"] == "log_likelihood"
    assert all(trial["value"] < 0 for trial in found["trials"])


@pytest.mark.slow
def test_a_study_on_a_fused_group_is_the_study_of_separate_jobs(call: Call, tmp_path: Path) -> None:
    """And its best run ends as the run that it would have been."""
    words = [
        "-m",
        "backbone=tiny",
        "device=cpu",
        "fit.epochs=2",
        "fit.batch_size=64",
        "dataset.val_fraction=0.2",
    ]
    search = [*words, "hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2"]
    search += ["optim.lr=tag(log,interval(1e-4,1e-1))", "peft.rank=range(1,9)", "fit.select=best"]
    assert call(*search, "hydra/launcher=fused", "hydra.sweep.dir=fused").code == 0
    said = call(*search, "hydra.sweep.dir=apart")
    assert said.code == 0
    assert study(tmp_path / "fused") == study(tmp_path / "apart")
    (line,) = [line for line in said.out.splitlines() if line.startswith("to run it: peftlab ")]
    assert call(*shlex.split(line.partition("peftlab ")[2]), "hydra.run.dir=one").code == 0
    (best,) = (path.parent for path in tmp_path.glob("fused/*/result.json"))
    results = [json.loads((folder / "result.json").read_text()) for folder in (best, tmp_path / "one")]
    assert results[0]["metrics"] == results[1]["metrics"]
    trial = study(tmp_path / "fused")["trials"][study(tmp_path / "fused")["best"]]
    assert trial["value"] == results[0]["selected"]["val/mean_acc"]


@pytest.mark.parametrize(("group", "name"), [("sweeper", "optuna"), ("launcher", "ray")])
def test_a_plugin_of_others_with_the_same_name_is_not_in_the_way(
    tmp_path: Path, group: str, name: str
) -> None:
    """As hydra-optuna-sweeper and hydra-ray-launcher, if they are installed."""
    other = tmp_path / "hydra_plugins" / "hydra_other"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text(
        "from dataclasses import dataclass\nfrom hydra.core.config_store import ConfigStore\n"
        "@dataclass\nclass Theirs:\n    _target_: str = 'theirs'\n"
        f"ConfigStore.instance().store(group='hydra/{group}', name='{name}', node=Theirs)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", "-m", "peftlab", f"hydra/{group}={name}", "--cfg", "hydra"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert f"_target_: hydra_plugins.peftlab.{name}." in done.stdout, done.stderr
