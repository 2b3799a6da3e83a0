"""The console script: where it writes, and one sentence for a wrong input, after which nothing was written."""

import os
from pathlib import Path

import pytest
from fixtures.study import put_run

from peftlab.command.report import main


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`s`, two cells of two seeds, in the folder where the command is typed."""
    monkeypatch.chdir(tmp_path)
    for name in ("lora", "ssf"):
        for seed in (0, 1):
            put_run(Path("s"), {"peft": name}, seed, {"mean_acc": 0.5 + 0.1 * seed})
    return Path("s")


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_one_sweep_has_its_report_in_it(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files()
    assert main(["s"]) == 0
    assert capsys.readouterr() == ("written: s/report/index.html\n", "")
    new = set(files()) - set(before)
    assert {
        "s/report/index.html",
        "s/report/report.md",
        "s/report/tables/cells.csv",
        "s/report/tables/cells.tex",
    } <= new
    assert {path.split("/")[1] for path in new} == {"report"}
    stamps = {path: os.stat(path).st_mtime_ns for path in new}
    assert main(["s"]) == 0, "its own report is no job of the sweep, and is written over"
    assert {path: os.stat(path).st_mtime_ns for path in new} == stamps, "what did not change is not touched"


def test_several_sweeps_have_it_where_the_command_is_typed(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_run(Path("t"), {"peft": "bitfit"}, 0, {"mean_acc": 0.5})
    assert main(["s", "t"]) == 0
    assert capsys.readouterr().out == "written: report/index.html\n"
    page = Path("report/index.html").read_text()
    assert "<h1>s, t</h1>" in page
    assert 'href="../t/bitfit-0/"' in page, "a link from the report to a run"
    assert not Path("s/report").exists()


def test_out_and_title_and_baseline(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["s", "--out", "deep/er", "--title", "My <own>", "--baseline", "peft=ssf"]) == 0
    assert capsys.readouterr().out == "written: deep/er/index.html\n"
    page = Path("deep/er/index.html").read_text()
    assert "<h1>My &lt;own&gt;</h1>" in page
    assert "Differences to ssf" in page
    assert (Path("deep/er") / "../../s/lora-0").is_dir()
    assert 'href="../../s/lora-0/"' in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "folder=nowhere does not exist; legal is the folder of a sweep."),
        (["empty"], "folder=empty holds no job; legal is a folder with one sub-folder per job."),
        (["file"], "folder=file does not exist; legal is the folder of a sweep."),
        (["s", "./s"], "a folder is named twice; legal: each sweep once"),
        (
            ["s", "--baseline", "peft=x"],
            "baseline=peft=x is no cell of this sweep; legal are peft=lora; peft=ssf.",
        ),
        (["s", "--claim", "peft=lora"], "claim=peft=lora "),
        (["s", "--claim", "peft=lora > peft=x"], "claim=peft=lora > peft=x: peft=x is no cell of this sweep"),
        (["s", "--out", "file"], "--out=file is not a folder; legal: a folder, or a name that nothing has"),
        (["s", "--out", "/proc/x"], "--out=/proc/x cannot be written: /proc: "),
        (["s", "--out", "file/x"], "--out=file/x cannot be written: "),
        (
            ["s", "--out", "mine"],
            "mine/index.html is not a report's, so it is not written over; legal: move it, or another --out",
        ),
        (["s", "--serve", "70000"], "--serve=70000 is no port; legal: 1 to 65535, or 0 for any that is free"),
        (
            ["s", "--serve", "x"],
            "argument --serve: invalid int value: 'x'; peftlab-report --help lists what is legal",
        ),
        ([], "the following arguments are required: folder; peftlab-report --help lists what is legal"),
        (["s", "--nosuch"], "unrecognized arguments: --nosuch; peftlab-report --help lists what is legal"),
    ],
    ids=" ".join,
)
def test_a_wrong_input_is_one_sentence_and_writes_nothing(
    sweep: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    Path("empty").mkdir()
    Path("file").touch()
    Path("mine").mkdir()
    Path("mine/index.html").write_text("<h1>mine</h1>")
    before = files()
    with pytest.raises(SystemExit) as stop:
        main(words)
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"peftlab-report: {sentence}")
    assert files() == before
    assert not Path("s/report").exists()


def test_a_disk_that_fails_is_one_sentence(
    sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from peftlab.report.page import write

    def full(path: Path, content: str | bytes) -> Path:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(write, "renew", full)
    with pytest.raises(SystemExit) as stop:
        main(["s"])
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert err.startswith("peftlab-report: s/report/tables/")
    assert err.endswith(
        "cannot be used (No space left on device); legal: a place with room that may be read and written\n"
    )


def test_help_says_what_is_legal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in (
        "--out",
        "--baseline",
        "--claim",
        "--title",
        "--serve PORT",
        "FOLDER/report for one sweep, else ./report",
    ):
        assert word in said
