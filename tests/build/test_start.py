"""What a cell starts from."""

import pytest
import torch
from torch import nn

from peftlab.build.start import Start
from peftlab.errors import UserError


def test_without_training_images_nothing_can_be_measured() -> None:
    start = Start(nn.Linear(2, 2))
    assert start.indices is None
    with pytest.raises(
        UserError, match=r"^peft: this method scores weights on training items, and there are none"
    ):
        start.measured()


def test_the_scorer_is_the_one_that_was_given(recipe, family) -> None:
    from peftlab.build.scorer import Scorer

    scorer = Scorer(family("plain"), nn.Linear(16, 3), nn.CrossEntropyLoss(), lambda start, stop: None, 0)
    assert Start(nn.Linear(16, 3), scorer, {"a": torch.arange(2)}).measured() is scorer
