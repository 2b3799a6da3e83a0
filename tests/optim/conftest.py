"""What the optimizers are held against: torch's own, one tensor after another."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

Make = Callable[[list[nn.Parameter]], Any]


@pytest.fixture
def assert_same_steps() -> Callable[[Make, Make], None]:
    """That two optimizers take four steps from the same values with the same gradients to the same bits."""

    def check(ours: Make, theirs: Make) -> None:
        torch.manual_seed(0)
        values = [torch.randn(shape) for shape in ((3, 4), (1000,), ())]
        owned, others = ([nn.Parameter(value.clone()) for value in values] for _ in range(2))
        optimizers = ours(owned), theirs(others)
        for _ in range(4):
            for own, other in zip(owned, others, strict=True):
                own.grad = torch.randn(own.shape)
                other.grad = own.grad.clone()
            for optimizer in optimizers:
                optimizer.step()
        assert all(torch.equal(own, other) for own, other in zip(owned, others, strict=True))

    return check
