"""The test split of a source that has none."""

import numpy as np
import pytest

from peftlab.dataset.source.held_out import held_out
from peftlab.errors import UserError

LABELS = np.repeat(np.arange(4), [10, 4, 2, 1]).astype(np.int64)


def test_a_share_of_each_class_and_one_at_least_to_train_on() -> None:
    drawn = held_out(LABELS, 5, 0.2, "test")
    assert np.bincount(LABELS[drawn], minlength=5).tolist() == [2, 1, 1, 0, 0]
    assert held_out(LABELS, 5, 0.2, "test").tolist() == drawn.tolist() == sorted(drawn.tolist())
    assert np.bincount(LABELS[held_out(LABELS, 4, 0.99, "test")]).tolist() == [9, 3, 1]


@pytest.mark.parametrize("fraction", [0, 1, 0.0, 1.0])
def test_a_share_that_leaves_a_side_empty(fraction: float) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.source\.test_fraction={fraction} leaves a split empty"):
        held_out(LABELS, 4, fraction, "test")
