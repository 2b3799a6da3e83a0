"""`plan=true`: what would run, with code 0, and nothing is run or written."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from peftlab.build import cost
from peftlab.command import train
from peftlab.command.plan import split_plan
from peftlab.config.multirun import Multirun
from peftlab.engine import plan as engine

TINY = ("backbone=tiny", "fit.epochs=1", "fit.batch_size=8", "device=cpu")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """The exit code of `peftlab WORDS` in an empty folder, and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(Multirun, "plan", None)
    monkeypatch.setattr(cost, "measured", lambda *_: None)

    def make(*words: str) -> tuple[int, str, str]:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["peftlab", *words])
        with pytest.raises(SystemExit) as stopped:
            train.main()
        GlobalHydra.instance().clear()
        assert not list(tmp_path.iterdir())
        return int(str(stopped.value.code or 0)), *capfd.readouterr()

    return make


def test_a_sweep(call: Call) -> None:
    code, out, _ = call("-m", "plan=json", *TINY, "peft=lora,bitfit", "peft.rank=4,17", "seed=0,1")
    found = json.loads(out)
    assert code == 0
    assert list(found) == ["schema", "count", "note", "total", "jobs"]
    jobs = found["jobs"]
    assert found["count"] == {"new": 2, "wrong": 6}  # lora has no rank 17 at 16 features
    first = jobs[0]
    assert list(first) == [
        *("run", "choices", "state", "why", "group", "alone", "trained", "step_s", "memory_mib"),
        "steps",
    ]
    assert first["run"].startswith("peft-lora_rank-4_seed-0-")
    assert (first["state"], first["group"], first["trained"]) == ("new", 1, 2304)
    assert first["group"] == jobs[1]["group"]
    wrong = [job["why"] for job in jobs if job["choices"]["peft"] == "bitfit"]
    assert all("is not a key of peft" in why for why in wrong)


def test_the_total_of_a_sweep(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """digits_lt trains on 277 images: 35 batches of 8 an epoch, 18 steps of two."""
    monkeypatch.setattr(cost, "measured", lambda resolved, _: 100.0 * resolved.fit.accumulate)
    words = ("-m", *TINY, "seed=0,1,2", "fit.accumulate=1,2", "fit.epochs=2")
    found = json.loads(call("plan=json", *words)[1])
    assert [job["steps"] for job in found["jobs"]] == [70, 36] * 3
    own = found["total"]
    train_s = 3 * (70 * 100 + 36 * 200)
    assert (own["jobs"], own["timed"], own["workers"], own["train_s"], own["wall_s"]) == (
        6,
        6,
        1,
        train_s,
        train_s,
    )
    assert own["memory_mib"] == max(job["memory_mib"] for job in found["jobs"])
    code, out, err = call("plan=true", *words, "hydra/launcher=local", "hydra.launcher.workers=1")
    assert code == 0, err
    assert (
        f"total: 6 to run: {timedelta(seconds=train_s)} of training, one after another; the largest takes"
        in out
    )


def test_what_cannot_be_timed_is_left_out_of_the_total(call: Call) -> None:
    out = call("plan=true", "-m", *TINY, "peft=lora,mask_magnitude")[1]
    assert "total: 2 to run; nothing says how long" in out


def test_a_run_and_what_shapes_cannot_say(call: Call) -> None:
    code, out, _ = call("plan=true", *TINY, "peft=mask_magnitude")
    assert code == 0
    assert out.splitlines()[1].split()[:4] == [out.splitlines()[1].split()[0], "new", "group", "1"]
    assert "1 jobs: 1 new" in out
    assert "nothing was run or written" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan=maybe"], "plan=maybe is not legal; legal: plan=true, plan=json, plan=false"),
        (["-m", "plan=true", "seed=interval(0,1)"], "plan=true needs a sweep of lists"),
        (["-m", "plan=true", "peft.rank=0", "seed=0,1"], "peft.rank=0 is not legal"),
    ],
)
def test_what_is_wrong_is_code_2(call: Call, words: list[str], said: str) -> None:
    code, _, err = call(*words)
    assert code == 2
    assert said in err


def test_an_error_of_ours_does_not_start_the_sweep(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(engine, "group_key", fall)
    code, _, err = call("-m", "plan=true", *TINY, "seed=0,1")
    assert code == 1
    assert "of ours" in err


def test_the_word_is_no_part_of_a_config() -> None:
    words, show = split_plan(["-m", "plan=true", "seed=0"])
    assert words == ["-m", "seed=0"]
    assert show is not None
    assert split_plan(["plan=false", "seed=0"]) == (["seed=0"], None)
    with pytest.raises(SystemExit):
        split_plan(["plan="])
