"""peftlab-runs over folders that sweeps and single runs left: what it lists, in which order, and what it removes."""

import csv
import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.sweep import put

from peftlab.command.runs import main
from peftlab.record.lock import Lock

OLD = Path(__file__).parents[1] / "record" / "first_house"
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def call(*words: Any) -> tuple[int, str, str]:
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:  # of argparse
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def finished(folder: Path, tail: float | None, seed: int = 0, state: str = "ok", **flat: Any) -> Path:
    metrics = {
        "test/mean_acc": 0.5,
        "test/tail_acc": tail,
        "test/tail_acc_low": 0.1,
        "test/tail_acc_high": 0.9,
    }
    flat = {"peft": "lora", "rank": 8, "seed": seed, "dataset": "digits_lt", **flat}
    record = {
        "headline": ["mean_acc", "tail_acc"],
        "flat": flat,
        "metrics": metrics,
        "wall_s": 61.0,
        "run_id": folder.name,
    }
    return put(folder, state, {"peft": str(flat["peft"])}, seed, result=record, flat=flat)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Two single runs, a sweep of two, one that failed, one that was killed, one damaged."""
    root = tmp_path / "outputs"
    finished(root / "a", 0.625)
    finished(root / "b", 0.25, seed=1, peft="bitfit", rank=None)
    finished(root / "sweep" / "s" / "one", 0.75, rank=16)
    finished(root / "sweep" / "s" / "two", 0.01, state="diverged", rank=4)
    flat = {"peft": "lora", "seed": 2}
    put(root / "bad", "failed", {}, 2, error="no [red]memory\x1b[31m", flat=flat)
    put(root / "cut", "running", {}, 2, flat=flat)
    (put(root / "torn", "ok", {}, 0) / "result.json").write_text('{"metrics": {')
    (root / "notes").mkdir()
    (root / "notes" / "status.txt").write_text("no run")
    return root


def listed(text: str) -> list[str]:
    return [line["run"] for line in csv.DictReader(text.splitlines())]


def test_a_list_has_every_run_its_state_and_its_numbers(outputs: Path, say: Say) -> None:
    code, out, _ = say(outputs)
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["state", "peft", "dataset", "rank", "seed", "mean", "tail", "wall_s", "run"]
    assert ["ok", "lora", "digits_lt", "8", "0", "50.0", "62.5", "0:01:01", "a"] in lines
    assert [line[0] for line in lines[1:8]] == ["ok", "ok", "failed", "killed", "ok", "diverged", "damaged"]
    assert ["diverged", "lora", "digits_lt", "4", "0", "0:01:01", "sweep/s/two"] in lines  # without a number
    assert out.splitlines()[-1] == "7 runs"
    assert "damaged: torn: status.json says ok, and result.json is missing or cannot be read" in out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--where", "peft=lora", "--sort", "tail"], ["sweep/s/one", "a", "bad", "cut", "sweep/s/two"]),
        (["--sort", "tail", "--reverse", "--limit", "2"], ["b", "a"]),
        (["--where", "tail>30"], ["a", "sweep/s/one"]),
        (["--where", "test/tail_acc<=0.25"], ["b", "sweep/s/two"]),
        (["--where", "rank=4,16", "--sort", "rank"], ["sweep/s/two", "sweep/s/one"]),
        (["--where", "peft!=lora"], ["b", "torn"]),
        (["--where", "seed=0", "--where", "state=ok"], ["a", "sweep/s/one"]),
        (["--state", "failed", "--state", "killed"], ["bad", "cut"]),
    ],
)
def test_filters_and_orders(outputs: Path, say: Say, words: list[str], found: list[str]) -> None:
    code, out, _ = say(outputs, "--csv", *words)
    assert (code, listed(out)) == (0, found)


def test_a_sweep_is_a_line_with_its_worst_state_and_its_best_cell(outputs: Path, say: Say) -> None:
    finished(outputs / "sweep" / "s" / "three", 0.25, seed=1, rank=16)
    finished(outputs / "sweep" / "t" / "one", 0.5, rank=2)
    for number, path in enumerate(sorted((outputs / "sweep").glob("*/*"))):
        said = json.loads((path / "status.json").read_text())
        rank = said["flat"]["rank"]
        said |= {"number": number, "choices": {"peft.rank": str(rank), "seed": str(said["seed"])}}
        (path / "status.json").write_text(json.dumps(said))
    found = {row["sweep"]: row for row in json.loads(say(outputs, "--sweeps", "--json")[1])}
    assert list(found) == ["sweep/s", "sweep/t"]
    one = found["sweep/s"]
    assert (one["state"], one["runs"], one["ok"], one["varies"]) == ("diverged", 3, 2, "rank seed")
    assert (one["tail"], one["best"], one["peft"], one["rank"]) == (50.0, "peft.rank=16", "lora", None)
    out = say(outputs, "--sweeps", "--sort", "tail", "--where", "ok>1")[1]
    assert out.splitlines()[0].split()[:3] == ["state", "runs", "ok"]
    assert out.splitlines()[-1] == "1 of 2 sweeps"


def test_json_has_all_values_of_every_run(outputs: Path, say: Say) -> None:
    found = {row["run"]: row for row in json.loads(say(outputs, "--json")[1])}
    assert len(found) == 7
    assert (found["a"]["tail"], found["a"]["test/tail_acc"], found["a"]["peft"]) == (62.5, 0.625, "lora")
    assert found["bad"]["error"] == "no [red]memory\x1b[31m"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["outputs", "--where", "peft"], "--where=peft is no comparison; legal: key=value"),
        (["outputs", "--where", "pet=lora"], "--where=pet is not a key of these runs; legal: peft"),
        (["outputs", "--sort", "tial"], "--sort=tial is not a key of these runs; legal: tail"),
        (["outputs", "--columns", "tial"], "--columns=tial is not a key"),
        (["outputs", "--where", "tail>high"], "high is no number"),
        (["outputs", "--state", "done"], "--state=done is not a state; legal: ok, diverged"),
        (["outputs", "--limit", "0"], "--limit=0; legal: a whole number above 0"),
        (["nowhere"], "folder=nowhere is not a folder"),
        (["show", "outputs"], "outputs is not the folder of a run; it holds 7 runs"),
        (["compare", "outputs/a", "outputs/bad"], "outputs/bad has no results to compare"),
        (["remove"], "the following arguments are required"),
        (["outputs", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_2(
    outputs: Path, say: Say, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(outputs.parent)
    code, out, err = say(*words)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]


def test_empty_folders_and_filters_say_so(tmp_path: Path, outputs: Path, say: Say) -> None:
    (tmp_path / "empty").mkdir()
    assert say(tmp_path / "empty") == (0, f"{tmp_path / 'empty'}: no run in it\n", "")
    assert say(outputs, "--where", "seed=7") == (0, f"{outputs}: none of its 7 runs fits\n", "")


def test_runs_of_the_first_house_are_listed_by_their_config(say: Say) -> None:
    found = {row["run"]: row for row in json.loads(say(OLD, "--json")[1])}
    assert [(row["peft"], row["dataset"], row["seed"]) for row in found.values()] == [
        ("bitfit", "digits_lt", 0),
        ("hlpt", "digits_lt", 0),
    ]
    assert found["hlpt"]["num_parameters"] == 1042


@pytest.mark.parametrize("name", ["status.json", "result.json"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[1]", b"{", b'{"flat": 3, "choices": [1], "metrics": 7}', b"[" * 3000]
)
def test_damage_is_listed_and_no_traceback(outputs: Path, say: Say, name: str, content: bytes) -> None:
    (outputs / "a" / name).write_bytes(content)
    found = {row["run"]: row["state"] for row in json.loads(say(outputs, "--json")[1])}
    assert found["a"] == "damaged"
    assert say("show", outputs / "a")[0] == 0


def test_show_says_all_of_one_and_a_name_steers_no_terminal(outputs: Path, say: Say) -> None:
    code, out, _ = say("show", outputs / "bad")
    assert code == 0
    assert "\x1b" not in out
    assert r"no [red]memory\x1b[31m" in out
    assert json.loads(say("show", outputs / "a", "--json")[1])["result"]["run_id"] == "a"


@pytest.mark.parametrize(
    ("started", "said"), [(1.8e9, r"2027-01-1\d \d\d:\d\d:00"), (1e300, "1.*"), (-1.0, "-1.0")]
)
def test_when_a_run_started_is_a_date(outputs: Path, say: Say, started: float, said: str) -> None:
    status = outputs / "a" / "status.json"
    status.write_text(json.dumps({**json.loads(status.read_text()), "started": started}))
    assert re.search(rf"^started +{said}$", say("show", outputs / "a")[1], re.MULTILINE)


def test_one_run_is_one_run(outputs: Path, say: Say) -> None:
    assert say(outputs / "a")[1].splitlines()[-1] == "1 run"


def test_compare_two_runs_of_the_first_house(say: Say) -> None:
    code, out, _ = say("compare", OLD / "hlpt", OLD / "bitfit", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["config"]["placement.depth"] == ["all", 1]
    a, b, difference, low, high = found["metrics"]["mean"]
    assert difference == pytest.approx(b - a)
    assert low < difference < high
    assert found["paired"] is True
    assert "paired: same seed and same split" in say("compare", OLD / "hlpt", OLD / "bitfit")[1]


# remove


def test_remove_asks_and_removes_what_a_run_wrote_alone(
    outputs: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    (outputs / "a" / "mine.txt").write_text("mine")
    code, out, _ = say("remove", outputs, "--where", "peft=lora", "--where", "state=ok")
    assert (code, (outputs / "a" / "result.json").exists()) == (1, True)
    assert out.endswith("nothing was removed; --yes does not ask\n")
    assert say("remove", outputs / "a", "--dry-run")[:2] == (0, f"{outputs / 'a'}: will be removed\n")
    code, out, _ = say("remove", outputs, "--where", "peft=lora", "--where", "state=ok", "--yes")
    assert code == 0
    assert out.splitlines()[-1] == "2 of 2 runs removed"
    assert f"{outputs / 'a'}: left in it: mine.txt" in out
    assert [path.name for path in (outputs / "a").iterdir()] == ["mine.txt"]
    assert sorted(path.name for path in outputs.iterdir()) == [
        "a",
        "b",
        "bad",
        "cut",
        "notes",
        "sweep",
        "torn",
    ]
    assert (outputs / "sweep" / "s" / "two").is_dir()


def test_a_run_that_is_being_written_and_what_is_no_run_are_kept(outputs: Path, say: Say) -> None:
    (outputs / "foreign").mkdir()
    (outputs / "foreign" / "status.json").write_text('{"state": "fine"}')
    lock = Lock(outputs / "a")
    assert lock.take()
    code, out, _ = say("remove", outputs / "a", outputs / "foreign", "--yes")
    lock.release()
    assert code == 1
    assert f"{outputs / 'a'}: is kept, a process is writing it" in out
    assert f"{outputs / 'foreign'}: is kept, not recognisably a run of peftlab" in out
    assert (outputs / "a" / "result.json").exists()
    assert (outputs / "foreign" / "status.json").exists()


def test_links_are_not_followed(outputs: Path, tmp_path: Path, say: Say) -> None:
    away = finished(tmp_path / "away", 0.5)
    (outputs / "linked").symlink_to(away)
    (outputs / "a" / "last").symlink_to(away)
    assert "linked" not in listed(say(outputs, "--csv")[1])
    assert say("remove", outputs / "linked", "--yes")[0] == 1
    assert say("remove", outputs, "--yes")[0] == 0
    assert (away / "result.json").exists()


def test_a_sweep_goes_with_its_report(outputs: Path, say: Say) -> None:
    from peftlab.report.report import write_report

    write_report(outputs / "sweep" / "s", baseline=None)
    assert say("remove", outputs / "sweep" / "s", "--yes")[0] == 0
    assert not (outputs / "sweep" / "s").exists()
    assert (outputs / "a" / "result.json").exists()


def test_a_sweep_is_packed_and_unpacked(outputs: Path, tmp_path: Path, say: Say) -> None:
    file = tmp_path / "runs.tar.xz"
    code, out, _ = say("pack", outputs / "sweep" / "s", file)
    assert (code, out) == (0, f"{file}: 2 runs of {outputs / 'sweep' / 's'}, 2 in all\n")
    assert say("unpack", file, tmp_path / "again") == (0, f"{tmp_path / 'again'}: 2 runs written\n", "")
    assert say("unpack", file, tmp_path / "again")[1].endswith("2 were there and are left as they are\n")
    first, again = (
        json.loads(say(folder, "--json")[1]) for folder in (outputs / "sweep" / "s", tmp_path / "again")
    )
    assert [(row["run"], row.get("tail")) for row in again] == [("one", 75.0), ("two", None)]
    assert again == [{**row, "folder": row["folder"].replace("outputs/sweep/s", "again")} for row in first]
    assert say("unpack", outputs / "b" / "status.json", tmp_path / "again")[0] == 2


def test_two_thousand_runs_are_listed_in_seconds(tmp_path: Path, say: Say) -> None:
    """0.5 s on a quiet core; the bound leaves room for a machine that is busy."""
    first = finished(tmp_path / "outputs" / "0000", 0.5)
    texts = {path.name: path.read_bytes() for path in first.iterdir()}
    for number in range(1, 2000):
        folder = tmp_path / "outputs" / f"{number:04}"
        folder.mkdir()
        for name, content in texts.items():
            (folder / name).write_bytes(content)
    began = time.perf_counter()
    code, out, _ = say(tmp_path / "outputs", "--sort", "tail", "--where", "peft=lora")
    assert (code, out.splitlines()[-1]) == (0, "2000 runs")
    assert time.perf_counter() - began < 10
    shutil.rmtree(tmp_path / "outputs")
