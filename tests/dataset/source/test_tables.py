"""The splits of a set by the names that it gives them."""

import pytest

from peftlab.dataset.source.tables import Splits
from peftlab.errors import UserError


def test_splits_that_are_there_and_apart() -> None:
    Splits("train", None, "test").check(["train", "test"])
    Splits("train", "dev", "test").check({"train": 1, "test": 2, "dev": 3})


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        (Splits("train", "val", "test"), "val_split=val is not in the data set; legal: train, test"),
        (Splits("training", None, "test"), "train_split=training is not in the data set; legal: train, test"),
        (
            Splits("train", None, "train"),
            "train_split=train and test_split=train are the same items; legal: ",
        ),
        (Splits("train", "test", "test"), "val_split=test and test_split=test are the same items; legal: "),
    ],
)
def test_splits_that_are_not(splits: Splits, words: str) -> None:
    with pytest.raises(UserError) as error:
        splits.check(["train", "test"])
    assert str(error.value).startswith(f"dataset.source.{words}")
