"""HMDB51 by its lists, on a small copy of its layout."""

import pytest

from peftlab.dataset.source.hmdb51 import hmdb51
from peftlab.errors import UserError

KEYS = {"folder": None, "lists": "lists", "video_root": "videos", "fold": 1, "broken": "refuse"}


@pytest.fixture
def copy(tmp_path, frames_at):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "wave_test_split1.txt").write_text("a b (1).avi 1 \nc.avi 2 \nd.avi 0 \n")
    (lists / "clap_test_split1.txt").write_text("e.avi 1 \nf.avi 2 \n")
    (lists / "clap_test_split2.txt").write_text("nothing\n")
    for place, name in enumerate(("wave/a b (1)", "wave/c", "clap/e", "clap/f")):
        frames_at(tmp_path / "videos" / name, seed=place + 1)
    return tmp_path


def test_its_lists(copy):
    """What is in neither split need not be there."""
    source = hmdb51(str(copy), **KEYS)
    assert source.class_names == ["clap", "wave"]
    described = source.train.items.contents.describe
    assert [described(row).rpartition("/")[2] for row in range(2)] == ["e", "a b (1)"]
    assert source.train.labels.tolist() == source.open_test().labels.tolist() == [0, 1]


def test_what_is_none_of_its_lists(copy):
    (copy / "lists" / "clap_test_split1.txt").write_text("e.avi 3\n")
    with pytest.raises(UserError, match=r"has the line 'e\.avi 3'; legal: a video and 0, 1 or 2"):
        hmdb51(str(copy), **KEYS)
    with pytest.raises(UserError, match=r"has no file CLASS_test_split3\.txt; legal: one for each class"):
        hmdb51(str(copy), **{**KEYS, "fold": 3})
