"""Class folders of videos: splits, what is passed over, what is missing or broken, and a run's data from them."""

from collections import Counter

import numpy as np
import pytest

from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.source.audit import audit
from peftlab.dataset.source.video_folder import video_folder
from peftlab.dataset.source.video_split import Listed, video_source
from peftlab.errors import MissingData, UserError

KEYS = {"test_fraction": 0.25, "broken": "refuse"}


@pytest.fixture
def videos(tmp_path, frames_at):
    """`videos({"train/run": 2})`: a folder of so many videos as folders of frames; and their pixels by folder."""

    def make(counts):
        pixels = {}
        for folder, number in counts.items():
            for place in range(number):
                pixels[f"{folder}/v{place}"] = frames_at(
                    tmp_path / folder / f"v{place}", 5, seed=len(pixels) + 1
                )
        return pixels

    return make


def test_split_folders(tmp_path, videos):
    pixels = videos(
        {"train/run": 2, "train/jump": 3, "test/run": 1, "test/jump": 1, "val/run": 1, "val/jump": 1}
    )
    (tmp_path / "train" / "run" / "notes.txt").write_text("no video")
    (tmp_path / "train" / "run" / ".hidden").mkdir()
    source = video_folder(str(tmp_path), **KEYS)
    assert source.class_names == ["jump", "run"]
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert source.ignored == Counter({"no videos": 1, "hidden or of the system": 1})
    assert source.val is not None
    test = source.open_test()
    assert test.labels.tolist() == source.val.labels.tolist() == [0, 1]
    (video,) = test.items.take(np.array([1]))
    assert np.array_equal(video.read(range(5)), pixels["test/run/v0"])


def test_a_test_split_is_cut_where_there_is_none(tmp_path, videos):
    videos({"run": 8, "jump": 4})
    one, again = (video_folder(str(tmp_path), **KEYS) for _ in range(2))
    assert one.train.index_hash() == again.train.index_hash()
    assert one.train.labels.tolist() == [0] * 3 + [1] * 6
    assert one.open_test().labels.tolist() == [0, 1, 1]
    split = [one.train, one.open_test()]
    described = [{part.items.contents.describe(row) for row in part.rows.tolist()} for part in split]
    assert not described[0] & described[1]
    assert len(described[0] | described[1]) == 12


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "holds no class folder"),
        ({"train/run": 1}, "has train/ but no test/"),
        ({"train/run": 1, "train/jump": 1, "test/run": 1}, "has jump in train/ or test/ only"),
        ({"run": 1, "jump": 1}, "one video of each class, which leaves no test video"),
        ({"run": 2, "jump": 0}, "class folder .*jump without videos"),
    ],
)
def test_what_is_no_such_folder(tmp_path, videos, counts, said):
    videos(counts)
    for folder, number in counts.items():
        if not number:
            (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(UserError, match=said):
        video_folder(str(tmp_path), **KEYS)


@pytest.mark.parametrize("path", [None, " ", "nowhere"])
def test_no_folder(path):
    with pytest.raises(
        UserError, match=r"^dataset\.path=.* is not a folder; legal: a folder of class folders$"
    ):
        video_folder(path, **KEYS)


def test_links_out_of_the_folder_are_left(tmp_path, videos, frames_at):
    videos({"own/run": 4, "own/jump": 4})
    frames_at(tmp_path / "elsewhere")
    (tmp_path / "own" / "run" / "linked").symlink_to(tmp_path / "elsewhere")
    source = video_folder(str(tmp_path / "own"), **KEYS)
    assert source.ignored == Counter({"links that leave the folder": 1})
    assert len(source.train) + len(source.open_test()) == 8


def listed(tmp_path, *names):
    return Listed([tmp_path / name for name in names], [place % 2 for place in range(len(names))])


def test_what_is_missing_or_broken_is_refused_or_named_counted_and_left_out(tmp_path, frames_at):
    for place in range(4):
        frames_at(tmp_path / f"v{place}", seed=place + 1)
    (tmp_path / "empty").mkdir()
    splits = {
        "train": listed(tmp_path, "v0", "v1", "gone.avi", "empty", "v2"),
        "test": listed(tmp_path, "v3", "lost.avi"),
    }
    with pytest.raises(
        MissingData, match=r"lacks 1 of 5 videos of train, as .*gone\.avi; legal: all of them, or .*=skip"
    ):
        video_source(["a", "b"], splits, "refuse", Counter())
    found = video_source(["a", "b"], splits, "skip", Counter())
    assert found.ignored == Counter(
        {
            "missing videos of train (gone.avi)": 1,
            "broken videos of train (empty)": 1,
            "missing videos of test (lost.avi)": 1,
        }
    )
    assert found.train.labels.tolist() == [0, 1, 0]
    assert [found.train.items.contents.describe(row) for row in range(3)] == [
        str(tmp_path / name) for name in ("v0", "v1", "v2")
    ]
    assert len(found.open_test()) == len(found.test_contents().sizes) == 1
    only = {**splits, "test": listed(tmp_path, "lost.avi")}
    with pytest.raises(UserError, match="has no video of test that can be opened"):
        video_source(["a", "b"], only, "skip", Counter())


def test_a_run_has_clips_of_them(tmp_path, videos, build):
    videos({"run": 4, "jump": 4})
    data = build("video_folder", path=str(tmp_path), frames=2, source={"test_fraction": 0.25}, num_clips=2)
    batch = EvalBatches(data.train, data.eval_transform, batch_size=6, num_workers=0).batch(0)
    assert batch.inputs["clips"].shape == (6, 2, 3, 16, 16)
    tested = EvalBatches(data.open_test(), data.tested_transform, batch_size=2, num_workers=0).batch(0)
    assert tested.inputs["clips"].shape == (2, 2, 2, 3, 16, 16)


def test_people_can_look_at_them(tmp_path, videos):
    videos({"run": 4, "jump": 4})
    found = audit(video_folder(str(tmp_path), **KEYS))
    assert found.num_items == {"train": 6, "test": 2}
    assert found.lines() == ["frames: 5 to 5, median 5", "sizes: all 16 x 12"]
    assert found.across() == {}
