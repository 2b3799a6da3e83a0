"""peftlab-data check: what stands in a data set, and whether something is wrong with it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from peftlab.command.data import main


def put(root: Path, *names: str, first: int = 0) -> None:
    for number, name in enumerate(names, first):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6, 3), number, dtype=np.uint8)).save(root / name)


def check(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    code = main(["check", "image_folder", f"dataset.path={root}"])
    return code, dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())


def test_a_folder_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/1.png", "test/a/1.png", "test/b/1.bmp")
    put(tmp_path, "train/a/.ipynb_checkpoints/1.png")
    code, said = check(tmp_path, capsys)
    assert code == 0
    assert said["images"] == "train 3, test 2; 3 train after the long tail"
    assert said["classes"] == "2, 1 (b) to 2 (a) images"
    assert said["sizes"] == "all 6 x 4"
    assert said["modes"] == "PNG RGB 4, BMP RGB 1"
    assert said["ignored"] == "hidden or of the system 1"
    assert said["problems"] == "none"


def test_half_of_the_classes_and_what_they_are_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("BareLand", "SeaLake", "pond_2", "river")
    put(tmp_path, *(f"{split}/{name}/1.png" for name in names for split in ("train", "test")))
    (words := tmp_path / "words.txt").write_text("".join(f"{name} word {name}\n" for name in names))
    choice = ["check", "image_folder", f"dataset.path={tmp_path}", "dataset.classes=new"]
    assert main(choice) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert said["images"] == "train 2, test 2; 2 train after the long tail"
    assert said["classes"] == "2, 1 (pond_2) to 1 (pond_2) images"
    assert said["in texts"] == "pond 2, river"
    assert main([*choice, f"dataset.class_names={words}"]) == 0
    assert "in texts: word pond_2, word river\n" in capsys.readouterr().out
    words.write_text("river x\n")
    assert main([*choice, f"dataset.class_names={words}"]) == 1
    assert "has no words for classes BareLand, SeaLake, pond_2; legal" in capsys.readouterr().err


def test_digits_are_pixels_and_no_picture_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "digits_lt"]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert said["modes"] == "pixels 1,797"
    assert said["duplicates"] == "none across splits; 0 within a split"


def test_a_picture_in_two_splits_and_one_that_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The content counts, not the file: the same pixels as PNG and as BMP."""
    put(tmp_path, "train/a/1.png", "train/b/1.png")
    put(tmp_path, "test/a/1.bmp", first=0)
    put(tmp_path, "test/b/1.png", first=7)
    (tmp_path / "test" / "b" / "2.png").write_bytes(b"\x89PNG\r\n")
    code, said = check(tmp_path, capsys)
    assert code == 1
    assert said["duplicates"] == "1 in test and train; 0 within a split"
    assert said["unreadable"] == "1"
    same = f"{tmp_path}/test/a/1.bmp is {tmp_path}/train/a/1.png"
    assert said["problems"].startswith(
        f"the same picture 1 in test and train, as {same}; 1 unreadable, the first: dataset.path"
    )


def test_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Case, punctuation and spaces do not tell two apart; the same words with two labels are counted."""
    (tmp_path / "train.csv").write_text("text,label\nWhat is it?,x\nwhat is it,y\nc d,y\ne,x\n")
    (tmp_path / "test.csv").write_text('text,label\n"what, is it",x\ng h i k,y\n')
    code = main(["check", "text_folder", f"dataset.path={tmp_path}"])
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert code == 1
    assert said["texts"] == "train 4, test 2; 4 train after the long tail"
    assert said["classes"] == "2, 2 (x) to 2 (x) texts"
    assert said["duplicates"] == "1 in test and train; 1 within a split"
    assert said["words"] == "1 to 4, median 3"
    assert said["in two classes"] == "1"
    assert "sizes" not in said
    same = f"line 2 of {tmp_path}/test.csv is line 3 of {tmp_path}/train.csv"
    assert said["problems"] == f"the same text 1 in test and train, as {same}"


@pytest.mark.parametrize(
    "words", [["nope"], ["digits", "dataset.sed=3"], ["digits", "dataset.seed=-1"], ["digits", "x y"]]
)
def test_a_wrong_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["check", *words])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("peftlab-data: ")
