"""The digits against scikit-learn's own arrays."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from peftlab.dataset.source.digits import digits
from peftlab.errors import UserError


def test_halves_are_stratified_disjoint_complete_and_fixed() -> None:
    source, again = digits(None), digits(None)
    train, test = source.train, source.open_test()
    assert sorted([*train.rows, *test.rows]) == list(range(1797))
    assert np.abs(train.counts(10) - test.counts(10)).max() <= 1
    assert train.index_hash() == again.train.index_hash() != test.index_hash()
    assert source.class_names == list("0123456789")
    assert source.val is None


def test_pixels_and_labels_are_those_of_scikit_learn() -> None:
    split, bunch = digits(None).open_test(), load_digits()
    taken = split.items.take(split.rows[:50])
    values = bunch.images[split.rows[:50]]
    for channel in range(3):
        assert np.array_equal(taken[:, channel].numpy(), np.rint(values * 255 / 16).astype(np.uint8))
    assert taken.max() == 255
    assert np.array_equal(split.labels, bunch.target[split.rows])


def test_a_path_is_refused() -> None:
    with pytest.raises(UserError, match=r"^dataset\.path=/data has no meaning for digits.*; legal: null$"):
        digits("/data")
