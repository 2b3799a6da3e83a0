"""Subsets keep row ids; the hash sees rows, labels and content."""

from collections.abc import Callable

import numpy as np

from peftlab.dataset.split import Split


def test_subset_keeps_the_rows_of_the_source(memory_split: Callable[..., Split]) -> None:
    split = memory_split([4, 3])
    part = split.subset(np.array([5, 1], dtype=np.int64)).subset(np.array([1], dtype=np.int64))
    assert len(part) == 1
    assert part.rows.tolist() == [1]
    assert part.labels.tolist() == [split.labels[1]]


def test_counts_have_fixed_size(memory_split: Callable[..., Split]) -> None:
    assert memory_split([4, 0, 3]).counts(5).tolist() == [4, 0, 3, 0, 0]


def test_hash_sees_rows_order_labels_and_content(memory_split: Callable[..., Split]) -> None:
    split = memory_split([4, 3])
    order = np.arange(7)
    other_labels = Split(split.items, 1 - split.labels, split.rows)
    other_content = memory_split([3, 4])
    hashes = [
        split.index_hash(),
        split.subset(order[::-1].copy()).index_hash(),
        split.subset(order[:6]).index_hash(),
        other_labels.index_hash(),
        Split(other_content.items, split.labels, split.rows).index_hash(),
    ]
    assert len(set(hashes)) == len(hashes)
    assert split.subset(order).index_hash() == split.index_hash() == memory_split([4, 3]).index_hash()
