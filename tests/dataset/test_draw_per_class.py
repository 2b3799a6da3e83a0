"""The draw has the numbers asked for, is sorted, and a smaller one is part of a larger one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from peftlab.dataset.draw_per_class import draw_per_class, share_per_class


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 5))
def test_numbers_order_and_nesting(values: list[int], seed: int) -> None:
    labels = np.array(values, dtype=np.int64)
    counts = np.bincount(labels, minlength=8).astype(np.int64)
    some = counts // 2
    drawn = draw_per_class(labels, some, seed, "test")
    assert np.bincount(labels[drawn], minlength=8).tolist() == some.tolist()
    assert (np.diff(drawn) > 0).all()
    assert set(drawn) <= set(draw_per_class(labels, np.minimum(some + 1, counts), seed, "test"))
    assert draw_per_class(labels, counts, seed, "test").tolist() == list(range(len(labels)))


def test_every_image_of_a_class_is_equally_likely() -> None:
    labels = np.zeros(10, dtype=np.int64)
    hits = np.zeros(10)
    for seed in range(600):
        hits[draw_per_class(labels, np.array([3]), seed, "test")] += 1
    # binomial(600, 0.3): mean 180, standard deviation 11.2
    assert np.abs(hits - 180).max() < 4.5 * 11.2


def test_streams_differ() -> None:
    labels, half = np.zeros(40, dtype=np.int64), np.array([20], dtype=np.int64)
    draws = [draw_per_class(labels, half, 0, *stream).tolist() for stream in (("a",), ("b",), ("a", 1))]
    assert draws[0] != draws[1] != draws[2] != draws[0]


def test_classes_of_one_size_draw_independently() -> None:
    labels, tens = np.repeat([0, 1], 30).astype(np.int64), np.array([10, 10], dtype=np.int64)
    drawn = draw_per_class(labels, tens, 0, "test")
    assert drawn[:10].tolist() != (drawn[10:] - 30).tolist()


def test_share_rounds_half_up() -> None:
    counts = np.array([0, 1, 2, 3, 5, 10], dtype=np.int64)
    assert share_per_class(counts, 0.5).tolist() == [0, 1, 1, 2, 3, 5]
    assert share_per_class(counts, 0.1).tolist() == [0, 0, 0, 0, 1, 1]
