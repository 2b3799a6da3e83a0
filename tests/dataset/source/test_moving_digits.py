"""Videos of digits: the same always, in pairs of which each is the other backwards, and moving as their class says."""

import numpy as np
import pytest

from peftlab.dataset.overlap import overlap, parts_of
from peftlab.dataset.source.moving_digits import CLASSES, moving_digits
from peftlab.dataset.video.sampling import Sampling
from peftlab.errors import UserError

KEYS = {"num_train": 12, "num_test": 5, "length": 9, "size": 32}
ALL = list(range(9))


def made(**changes):
    return moving_digits(None, **{**KEYS, **changes})


def frames(split, row):
    (video,) = split.items.take(np.array([row]))
    return video.read(range(video.num_frames)).astype(np.float64)[..., 0]


def centre(frame):
    """Where the light is, across and down, and how far from there it lies."""
    weight = frame / frame.sum()
    down, across = np.indices(frame.shape)
    x, y = (weight * across).sum(), (weight * down).sum()
    return x, y, np.sqrt((weight * ((across - x) ** 2 + (down - y) ** 2)).sum())


def test_the_videos_are_the_same_every_time_and_a_smaller_set_is_part_of_a_larger_one():
    one, again, larger = made(), made(), made(num_train=20)
    assert one.train.index_hash() == again.train.index_hash() != larger.train.index_hash()
    for label in range(6):
        for item in (0, 11):
            assert np.array_equal(
                frames(one.train, 12 * label + item), frames(again.train, 12 * label + item)
            )
            assert np.array_equal(
                frames(one.train, 12 * label + item), frames(larger.train, 20 * label + item)
            )
    assert one.train.labels.tolist() == np.repeat(range(6), 12).tolist()
    assert one.open_test().labels.tolist() == np.repeat(range(6), 5).tolist()
    assert made(size=16).train.index_hash() != one.train.index_hash() != made(length=7).train.index_hash()


@pytest.mark.parametrize("pair", range(3))
def test_a_class_is_its_partner_backwards(pair):
    train = made().train
    for item in range(12):
        first, second = (frames(train, 12 * (2 * pair + side) + item) for side in range(2))
        assert np.array_equal(first, second[::-1])
        assert not np.array_equal(first, second)


def test_they_move_as_they_are_called():
    train = made().train
    for item in range(12):
        places = {
            name: np.array([centre(frame) for frame in frames(train, 12 * label + item)])
            for label, name in enumerate(CLASSES)
        }
        inside = slice(2, 7)  # where all of a digit is in the picture
        assert (np.diff(places["right"][inside, 0]) > 1).all()
        assert (np.diff(places["left"][inside, 0]) < -1).all()
        assert (np.diff(places["grow"][:, 2]) > -0.5).all()
        assert places["grow"][-1, 2] > 1.5 * places["grow"][0, 2]
        assert places["shrink"][-1, 2] < places["shrink"][0, 2] / 1.5


def test_a_digit_turns_as_a_clock_does():
    """A stroke from the middle upwards points to the right a while later."""
    from peftlab.dataset.source.moving_digits import _drawn

    stroke = np.zeros((8, 8), dtype=np.uint8)
    stroke[:4, 3:5] = 255
    found = _drawn(stroke, np.array([[0, 0, 1, 0], [0, 0, 1, np.pi / 2]]), 32)
    x, y, _ = centre(found[0, ..., 0].astype(float))
    assert (abs(x - 15.5) < 0.5, y < 12) == (True, True)
    x, y, _ = centre(found[1, ..., 0].astype(float))
    assert (x > 19, abs(y - 15.5) < 0.5) == (True, True)


def test_no_digit_of_the_test_is_in_a_training_video(build):
    data = build("moving_digits", num_workers=0)
    found = overlap(data, parts_of(data))
    assert found.num_items == {"train": 1536, "test": 384}
    assert not any((found.twice or {}).values())
    train, test = (split.items for split in (data.train, data.open_test()))
    digits = [
        {items.contents.read(row)[:64] for row in range(len(items.contents.sizes))} for items in (train, test)
    ]
    assert not digits[0] & digits[1]
    assert data.counts.tolist() == [256] * 6
    assert data.noun == "clips"


def test_a_long_tail_of_movements(build):
    data = build("moving_digits", imbalance=10.0)
    assert data.counts.tolist() == sorted(data.counts.tolist(), reverse=True)
    assert (data.counts[0], data.counts[-1]) == (256, 25)


@pytest.mark.parametrize("length", [3, 9, 15])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6, 8, 20])
def test_at_the_test_a_clip_has_the_frames_of_its_partner_backwards(length, frames):
    (numbers,) = Sampling(frames, "uniform", None).spread(length, 1)
    assert [length - 1 - number for number in reversed(numbers)] == numbers


def test_an_even_length_is_refused():
    with pytest.raises(UserError, match=r"^dataset\.source\.length=8 is even, so .*; legal: an odd number$"):
        made(length=8)


def test_a_path_means_nothing():
    with pytest.raises(UserError, match=r"^dataset\.path=x has no meaning for moving_digits"):
        moving_digits("x", **KEYS)
