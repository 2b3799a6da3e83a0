"""Parameter groups: what is trained decays by its kind."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from peftlab.option import Decay

Theta = Mapping[
    str, Sequence[nn.Parameter]
]  # by kind: weights (deltas, head), gates (and temperatures), selected


def groups(
    theta: Theta,
    *,
    weight_decay: Decay,
    gate_decay: Decay,
    selected_decay: Decay,
) -> list[dict[str, Any]]:
    """A group for each kind that there is, with its decay; gamma is in none, it has an optimizer of its own."""
    decay = {"weights": weight_decay, "gates": gate_decay, "selected": selected_decay}
    return [{"params": list(values), "weight_decay": decay[kind]} for kind, values in theta.items() if values]
