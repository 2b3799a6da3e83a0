"""Each optimizer against torch's own, bit for bit, through steps, a saved state and a new group."""

from typing import Any

import pytest
import torch
from torch import nn

from peftlab.inputs import eager

OPTIONS: dict[str, dict[str, float]] = {
    "AdamW": {"lr": 0.1, "weight_decay": 0.3},
    "Adam": {"lr": 0.1},
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2},
}


def trained(kind: Any, options: dict[str, float]) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """Two tensors after four steps, the last two with a new optimizer that has the state of the first."""
    values = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([[3.0]]))]

    def made() -> Any:
        optimizer = kind([values[0]], **options)
        optimizer.add_param_group({"params": [values[1]], "lr": 0.5})
        return optimizer

    optimizer = made()
    for step in range(4):
        if step == 2:
            saved, optimizer = optimizer.state_dict(), made()
            optimizer.load_state_dict(saved)
        sum((value * (step + 1.3)).sin().sum() for value in values).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert all(value.grad is None for value in values)
    return [value.detach() for value in values], optimizer.state_dict()


@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_torchs(name: str) -> None:
    (own, state), (other, theirs) = (
        trained(getattr(module, name), OPTIONS[name]) for module in (eager, torch.optim)
    )
    assert all(torch.equal(one, two) for one, two in zip(own, other, strict=True))
    assert state["param_groups"] == theirs["param_groups"]
    assert not torch.equal(own[0], torch.tensor([1.0, -2.0]))
