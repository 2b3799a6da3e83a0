"""Kinetics-400 by its lists, on a small copy of its layout."""

import pytest

from peftlab.dataset.source.kinetics400 import kinetics400
from peftlab.errors import UserError

KEYS = {
    "folder": None,
    "train_list": "train.csv",
    "train_root": "train",
    "test_list": "val.csv",
    "test_root": "val",
    "broken": "skip",
}
HEAD = "label,youtube_id,time_start,time_end,split\n"


@pytest.fixture
def copy(tmp_path, frames_at):
    (tmp_path / "train.csv").write_text(
        HEAD + "zumba,-aaa,10,20,train\nair drumming,bbb,0,10,train\nair drumming,gone,3,13,train\n"
    )
    (tmp_path / "val.csv").write_text(HEAD + "air drumming,ccc,7,17,val\nzumba,ddd,100,110,val\n")
    for place, name in enumerate(
        (
            "train/-aaa_000010_000020",
            "train/air_drumming/bbb_000000_000010",
            "val/air drumming/ccc_000007_000017",
            "val/ddd_000100_000110",
        )
    ):
        frames_at(tmp_path / name, seed=place + 1)
    return tmp_path


def test_its_lists(copy):
    """Videos lie in the folder of their split or of their class; what is gone is left out."""
    source = kinetics400(str(copy), **KEYS)
    assert source.class_names == ["air drumming", "zumba"]
    assert source.train.labels.tolist() == [1, 0]
    assert source.open_test().labels.tolist() == [0, 1]
    assert source.ignored == {"missing videos of train (gone_000003_000013.mp4)": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,youtube_id\n", "has no column time_start; legal: label, youtube_id, time_start, time_end"),
        (HEAD + "zumba,-aaa,x,20,train\n", "-aaa has no whole seconds as time_start and time_end"),
        (HEAD + "diving,ddd,100,110,val\n", "has the class diving, which train.csv lacks"),
    ],
)
def test_what_is_none_of_its_lists(copy, text, said):
    (copy / "val.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        kinetics400(str(copy), **KEYS)
