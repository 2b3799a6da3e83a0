"""Fixtures of the selective methods."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def hand_made() -> Callable[..., Any]:
    """`Weights` of the given candidates; `gradients` is what its iterator gives, one dict per image."""
    from peftlab.peft.weights import Weights

    def make(
        inside: list[Any], gradients: Any = (), outside: Any = (), num_head: int = 0, **more: Any
    ) -> Any:
        given = {
            "num_heads": {},
            "num_backbone": sum(weight.value.numel() for weight in [*inside, *outside]),
            "class_gradients": lambda num: iter(()),
            **more,
        }
        every = [dict(gradient) for gradient in gradients]
        return Weights(
            inside=list(inside),
            outside=list(outside),
            num_head=num_head,
            gradients=lambda num: iter(every[:num]),
            **given,
        )

    return make
