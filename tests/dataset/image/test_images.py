"""What is decoded, how often, and what is kept."""

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from peftlab.dataset.image import images as module
from peftlab.dataset.image.images import Images, shared_images
from peftlab.inputs.cache import Rows


class Counting:
    """A decoder that counts its calls; odd rows are larger where `mixed`."""

    def __init__(self, mixed: bool = False) -> None:
        self.calls: list[int] = []
        self._mixed = mixed

    def __call__(self, row: int) -> np.ndarray:
        self.calls.append(row)
        return np.full((4, 5 + (row % 2 if self._mixed else 0), 3), row, dtype=np.uint8)


def test_each_picture_is_decoded_once_and_only_when_asked_for() -> None:
    decode = Counting()
    images = Images(decode, num_images=9, fingerprint="a")
    assert decode.calls == []
    rows = np.array([3, 1, 3], dtype=np.int64)
    taken = images.take(rows)
    assert taken.shape == (3, 3, 4, 5)
    assert taken[:, 0, 0, 0].tolist() == [3, 1, 3]
    images.take(np.array([1, 2], dtype=np.int64))
    assert sorted(decode.calls) == [1, 2, 3]


def test_what_is_taken_is_a_copy() -> None:
    images = Images(Counting(), num_images=3, fingerprint="a")
    images.take(np.array([2], dtype=np.int64)).zero_()
    assert images.take(np.array([2], dtype=np.int64)).unique().tolist() == [2]


def test_pictures_of_several_sizes_come_as_a_list() -> None:
    images = Images(Counting(mixed=True), num_images=9, fingerprint="a")
    assert images.take(np.array([0, 2], dtype=np.int64)).shape == (2, 3, 4, 5)
    taken = images.take(np.array([0, 1, 2], dtype=np.int64))
    assert [tuple(picture.shape) for picture in taken] == [(3, 4, 5), (3, 4, 6), (3, 4, 5)]
    assert [int(picture.max()) for picture in taken] == [0, 1, 2]


def test_a_large_split_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT_BYTES", 9 * 4 * 5 * 3)
    decode = Counting()
    images = Images(decode, num_images=9, fingerprint="a")
    for _ in range(2):
        assert [int(picture.max()) for picture in images.take(np.array([7, 8], dtype=np.int64))] == [7, 8]
    assert decode.calls.count(8) == 2


def test_one_store_per_content_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_shared", {})
    first = shared_images(Counting(), num_images=3, fingerprint="0")
    assert shared_images(Counting(), num_images=3, fingerprint="0") is first
    for name in "1234":
        shared_images(Counting(), num_images=3, fingerprint=name)
    assert shared_images(Counting(), num_images=3, fingerprint="0") is not first


def _flat(value: int, row: int) -> np.ndarray:
    return np.full((2, 2, 3), value + row, dtype=np.uint8)


def test_a_store_can_be_sent_to_a_worker() -> None:
    images = Images(partial(_flat, 5), num_images=3, fingerprint="a")
    images.keep(np.array([0], dtype=np.int64))
    assert pickle.loads(pickle.dumps(images)).take(np.array([0, 2], dtype=np.int64))[:, 0, 0, 0].tolist() == [
        5,
        7,
    ]


def stored(decode: Counting) -> Images:
    return Images(decode, num_images=3, fingerprint="0", stored="these pictures")


def test_the_cache_gives_the_same_pixels_and_nothing_is_decoded_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array([2, 0, 2])
    plain = Images(Counting(), num_images=3, fingerprint="0").take(rows)
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path))
    first, second, third = Counting(), Counting(), Counting()
    assert torch.equal(stored(first).take(rows), plain)
    assert torch.equal(stored(second).take(rows), plain)
    assert (len(first.calls), len(second.calls)) == (2, 0)
    for file in tmp_path.rglob("*.peftlab"):
        file.write_bytes(file.read_bytes()[:-1])
    assert torch.equal(stored(third).take(rows), plain)
    assert len(third.calls) == 2


def test_a_cache_that_fills_up_is_left_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path))
    images, decode = stored(Counting()), Counting()
    images.take(np.array([0]))
    monkeypatch.setattr(Rows, "put", lambda *given: False)
    images.take(np.array([1]))
    plain = Images(decode, num_images=3, fingerprint="0").take(np.array([0, 1, 2]))
    assert torch.equal(images.take(np.array([0, 1, 2])), plain)


def test_another_process_opens_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path))
    images = stored(Counting())
    taken = images.take(np.array([1]))
    sent = pickle.dumps(images)
    again = pickle.loads(sent)
    assert torch.equal(again.take(np.array([1])), taken)
    assert again._decode.calls == [1], "as it was when it was sent"
    monkeypatch.setenv("PEFTLAB_CACHE", "off")
    assert torch.equal(pickle.loads(sent).take(np.array([1])), taken)
