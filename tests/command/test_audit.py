"""peftlab-data audit: what was planted is found."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from peftlab.command import audit
from peftlab.command.data import main
from peftlab.record.table import read_rows

COLOURS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}


def picture(rng: np.random.Generator, colour: tuple[int, ...]) -> Image.Image:
    noise = rng.integers(0, 50, (4, 4, 3)).repeat(4, 0).repeat(4, 1)
    return Image.fromarray((noise + np.array(colour)).astype(np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A green picture in the folder of red ones, and a picture of the test that is one to train on, compressed."""
    rng = np.random.default_rng(0)
    for split, number in (("train", 20), ("test", 6)):
        for name, colour in COLOURS.items():
            folder = tmp_path / "set" / split / name
            folder.mkdir(parents=True)
            for place in range(number):
                picture(rng, colour).save(folder / f"{place:02d}.png")
    picture(rng, COLOURS["green"]).save(tmp_path / "set" / "train" / "red" / "wrong.png")
    with Image.open(tmp_path / "set" / "train" / "blue" / "07.png") as image:
        image.save(tmp_path / "set" / "test" / "blue" / "copy.jpg", quality=95)
    return tmp_path / "set"


def test_what_was_planted_is_found(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "found.csv"
    words = ["image_folder", f"dataset.path={root}", "backbone=tiny", "device=cpu"]
    assert main(["audit", *words, "--csv", str(table), "--near", "0.95"]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert said["items"] == "train 61, test 19"
    assert said["written"] == str(table)
    rows = read_rows(table)
    assert " ".join(rows[0]) == "found split item class_name other_split other_item other_class score pixels"
    near = [row for row in rows if row["found"] == "near-duplicate"]
    assert [Path(near[0][key]).name for key in ("item", "other_item")] == ["copy.jpg", "07.png"]
    assert float(near[0]["score"]) >= 0.95
    assert float(near[0]["pixels"]) > 0.98
    assert [row for row in near if float(row["pixels"]) > 0.95] == near[:1]
    doubtful = [row for row in rows if row["found"] == "label"]
    first = doubtful[0]
    assert (Path(first["item"]).name, first["class_name"], first["other_class"]) == (
        "wrong.png",
        "red",
        "green",
    )
    assert float(doubtful[0]["score"]) < 0.1
    assert "with a cosine of features of 0.95 or more, 1 of them with such" in said["alike in two splits"]
    assert "wrong.png (train, red), taken for green" in said["labels"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits", "--near", "0"], "--near=0.0 is no cosine; legal: above 0, at most 1"),
        (["digits", "--near", "nan"], "--near=nan is no cosine"),
        (
            ["digits", "--csv", "/dev/null/audit.csv"],
            "--csv=/dev/null/audit.csv cannot be written: /dev/null is not a folder",
        ),
        (["image_folder"], "dataset.path=null names no folder"),
    ],
)
def test_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["audit", *words])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"peftlab-data: {message}")


def test_labels_that_are_too_many_are_not_judged(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "MAX_PROBABILITIES", 80 * 3 - 1)
    table = tmp_path / "found.csv"
    assert (
        main(
            [
                "audit",
                "image_folder",
                f"dataset.path={root}",
                "backbone=tiny",
                "device=cpu",
                "--csv",
                str(table),
            ]
        )
        == 0
    )
    assert "labels: not judged, as 80 items of 3 classes are too many for a probe" in capsys.readouterr().out
    assert {row["found"] for row in read_rows(table)} == {"near-duplicate"}


def test_answers_have_no_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "who?", "answer": "you"}\n' * 4)
    words = ["answer_folder", f"dataset.path={tmp_path}/a.jsonl", "backbone=tiny_causal"]
    with pytest.raises(SystemExit):
        main(["audit", *words, "task=generate", "head=unembedding", "loss=cross_entropy"])
    assert capsys.readouterr().err.startswith(
        "peftlab-data: task=generate has answers and no classes to audit; legal: "
    )


def test_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of words there are no pixels."""
    rows = [f"{word} number {row},{word}" for row in range(20) for word in ("card", "loan")]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "test.csv").write_text("text,label\nCARD number 3,card\nloan number 30,loan")
    table = tmp_path / "found.csv"
    words = [
        "text_folder",
        f"dataset.path={tmp_path}",
        "backbone=tiny_text",
        "device=cpu",
        "--csv",
        str(table),
    ]
    assert main(["audit", *words]) == 0
    said = capsys.readouterr().out
    assert "items: train 40, test 2" in said
    assert "pixels" not in said
    near = [row for row in read_rows(table) if row["found"] == "near-duplicate"]
    assert near
    assert {row["pixels"] for row in near} == {""}
