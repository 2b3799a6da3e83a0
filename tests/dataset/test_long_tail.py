"""Counts against the published ones and the formula written out; the choice of images by invariants."""

import numpy as np
import pytest

from peftlab.dataset.long_tail import long_tail, long_tail_counts
from peftlab.errors import UserError

CIFAR = np.full(100, 500, dtype=np.int64)


@pytest.mark.parametrize(("imbalance", "total"), [(100.0, 10_847), (50.0, 12_608), (10.0, 19_573)])
def test_cifar100_has_the_published_totals(imbalance: float, total: int) -> None:
    counts = long_tail_counts(CIFAR, imbalance=imbalance, max_per_class=None)
    assert counts.sum() == total
    assert (counts[0], counts[-1]) == (500, int(500 / imbalance))


def test_ten_classes_at_imbalance_ten() -> None:
    counts = long_tail_counts(np.full(10, 1000, dtype=np.int64), imbalance=10.0, max_per_class=None)
    # floor(1000 * 10^(-c/9)), worked out by hand to the digit
    assert counts.tolist() == [1000, 774, 599, 464, 359, 278, 215, 166, 129, 100]


def test_never_more_than_a_class_has_and_never_less_than_one() -> None:
    counts = long_tail_counts(np.array([10, 3, 0, 9], dtype=np.int64), imbalance=100.0, max_per_class=None)
    assert counts.tolist() == [10, 2, 0, 1]


def test_max_per_class_is_the_largest_class_of_the_tail() -> None:
    four = np.array([8, 100, 100, 100], dtype=np.int64)
    assert long_tail_counts(four, imbalance=None, max_per_class=20).tolist() == [8, 20, 20, 20]
    assert long_tail_counts(four, imbalance=8.0, max_per_class=80).tolist() == [8, 40, 20, 10]
    assert long_tail_counts(four, imbalance=1.0, max_per_class=1000).tolist() == four.tolist()


def test_one_class() -> None:
    assert long_tail_counts(np.array([7], dtype=np.int64), imbalance=5.0, max_per_class=None).tolist() == [7]


def test_an_imbalance_below_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"^dataset\.imbalance=0\.5 is below 1; legal: .*1 or above"):
        long_tail_counts(CIFAR, imbalance=0.5, max_per_class=None)


def test_positions_have_the_counts_and_steeper_tails_are_nested() -> None:
    labels = np.tile(np.arange(5), 60).astype(np.int64)
    cuts = {
        imbalance: long_tail(labels, imbalance=imbalance, max_per_class=None, seed=0, num_classes=5)
        for imbalance in (None, 4.0, 16.0)
    }
    assert cuts[None].tolist() == list(range(300))
    assert np.bincount(labels[cuts[16.0]]).tolist() == [60, 30, 15, 7, 3]
    assert len(set(cuts[16.0])) == len(cuts[16.0])
    assert set(cuts[16.0]) < set(cuts[4.0])


def test_seed_zero_is_a_seed_and_images_of_a_class_do_not_depend_on_other_classes() -> None:
    labels = np.tile(np.arange(3), 50).astype(np.int64)

    def cut(seed: int, used: np.ndarray) -> np.ndarray:
        return long_tail(used, imbalance=10.0, max_per_class=None, seed=seed, num_classes=3)

    assert cut(0, labels).tolist() == cut(0, labels).tolist()
    assert cut(0, labels).tolist() != cut(1, labels).tolist()
    swapped = np.where(labels == 0, 0, 3 - labels).astype(np.int64)  # classes 1 and 2 change places
    assert set(cut(0, labels)[labels[cut(0, labels)] == 0]) == set(
        cut(0, swapped)[swapped[cut(0, swapped)] == 0]
    )
