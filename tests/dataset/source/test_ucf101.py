"""UCF101 by its lists, on a small copy of its layout."""

import pytest

from peftlab.dataset.source.ucf101 import ucf101
from peftlab.errors import UserError

KEYS = {"folder": None, "lists": "lists", "video_root": "UCF", "fold": 2, "broken": "refuse"}


@pytest.fixture
def copy(tmp_path, frames_at):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\r\n2 Biking\r\n")
    (lists / "trainlist02.txt").write_text(
        "Archery/v_Archery_g01_c01.avi 1\nBiking/v_Biking_g01_c01.avi 2\nBiking/v_Biking_g01_c02.avi 2\n"
    )
    (lists / "testlist02.txt").write_text("Biking/v_Biking_g09_c01.avi\nArchery/v_Archery_g09_c01.avi\n")
    for place, name in enumerate(
        ("Archery_g01_c01", "Biking_g01_c01", "Biking_g01_c02", "Biking_g09_c01", "Archery_g09_c01")
    ):
        frames_at(tmp_path / "UCF" / name.partition("_")[0] / f"v_{name}", seed=place + 1)
    return tmp_path


def test_its_lists(copy):
    """Frames in a folder stand for the file of that name."""
    source = ucf101(str(copy), **KEYS)
    assert source.class_names == ["Archery", "Biking"]
    assert source.train.labels.tolist() == [0, 1, 1]
    assert source.open_test().labels.tolist() == [1, 0]
    assert source.train.items.contents.describe(2).endswith("UCF/Biking/v_Biking_g01_c02")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("classInd.txt", "Archery\n", "has the line 'Archery'; legal: a number and a class"),
        ("testlist02.txt", "Diving/v.avi\n", "has Diving/v.avi, of a class that classInd.txt lacks"),
        ("trainlist02.txt", "Archery/gone.avi 1\n", "lacks 1 of 1 videos of train, as .*gone.avi"),
    ],
)
def test_what_is_none_of_its_lists(copy, file, text, said):
    (copy / "lists" / file).write_text(text)
    with pytest.raises(UserError, match=said):
        ucf101(str(copy), **KEYS)


def test_a_fold_without_a_list(copy):
    with pytest.raises(UserError, match=r"trainlist01\.txt"):
        ucf101(str(copy), **{**KEYS, "fold": 1})
