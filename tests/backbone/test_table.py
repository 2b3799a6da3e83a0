"""The depth of a table is what backbone.depth promises."""

import pytest

from peftlab.backbone.table import Table
from peftlab.placement.depth import block_labels


@pytest.mark.parametrize("depth", [1, 12, 24, [2, 2, 6, 2], [1], [2, 2, 18, 2], [1] * 11])
def test_depth_and_labels_say_the_same(depth):
    """`block_labels` cannot know the table, nor the table it; labels are made in both."""
    labels = tuple(block_labels(depth))
    assert Table(labels, labels, 0, {}, (), {}).depth == depth
