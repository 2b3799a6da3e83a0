"""What every kind of data gets, asked of words: the hash, the test lock, class groups, batches of any inputs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from peftlab.dataset.batches import Draws, EvalBatches, TrainBatches
from peftlab.dataset.dataset import Dataset


def test_hash_is_that_of_the_rows(cut: Callable[..., Dataset]) -> None:
    hashes = [
        cut([30, 30]).index_hash,
        cut([30, 30], imbalance=3.0).index_hash,
        cut([30, 30], imbalance=3.0, seed=1).index_hash,
        cut([30, 30], val_fraction=0.5).index_hash,
        cut([30, 30], 1, val_fraction=0.5).index_hash,
    ]
    assert len(set(hashes)) == 5
    assert cut([30, 30], 1).index_hash == hashes[0]


def test_the_test_split_stays_shut(cut: Callable[..., Dataset]) -> None:
    built = cut([8, 8], val_fraction=0.25, imbalance=2.0)
    next(TrainBatches(built.train, built.train_transform, batch_size=4, draws=Draws(0)).iterate(0))
    assert built.val is not None
    assert len(list(EvalBatches(built.val, built.eval_transform, batch_size=4, num_workers=0))) == 1
    with pytest.raises(AssertionError, match="was opened"):
        built.open_test()


def test_class_ids_are_those_of_the_names(cut: Callable[..., Dataset]) -> None:
    built = cut([4, 4, 4], groups={"head": ["class 2"], "tail": [0, "class 1"]})
    assert built.groups == {"head": [2], "medium": [], "tail": [0, 1]}
    assert built.class_names == ["class 0", "class 1", "class 2"]
    assert built.counts.dtype == np.int64


def test_batches_hold_what_the_transform_makes(cut: Callable[..., Dataset]) -> None:
    built = cut([8, 8])
    assert built.transform_text == "train: bytes; eval: bytes"
    batch = EvalBatches(built.train, built.eval_transform, batch_size=5, num_workers=0).batch(1)
    assert set(batch.inputs) == {"tokens"}
    words = ["".join(map(chr, row)).strip() for row in batch.inputs["tokens"].tolist()]
    assert words == [f"word {row}" for row in range(5, 10)]
    assert batch.targets.tolist() == built.train.labels[5:10].tolist()
    first, again = (
        TrainBatches(built.train, built.train_transform, batch_size=16, draws=Draws(seed)).batch(0)
        for seed in (0, 0)
    )
    assert torch.equal(first.inputs["noise"], again.inputs["noise"])
    assert len(first.inputs["noise"].unique()) == 16
