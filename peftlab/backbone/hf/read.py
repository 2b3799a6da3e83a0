"""From texts to features: the mean of the last hidden states over the tokens that are no padding, or that of the first."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def read_mean(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """`[b, d]`; the batch may stand in the network several times, one behind the other, for several cells."""
    hidden = _hidden(model, inputs)
    mask = inputs["attention_mask"].to(hidden.dtype).unsqueeze(-1)
    mask = mask.repeat(hidden.shape[0] // mask.shape[0], 1, 1)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)


def read_first(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """`[b, d]`."""
    return _hidden(model, inputs)[:, 0]


def _hidden(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    network: Any = model
    if inputs["attention_mask"].is_meta:  # no numbers, of which transformers asks whether they hide any token
        inputs = {key: value for key, value in inputs.items() if key != "attention_mask"}
    hidden: Tensor = network(**inputs).last_hidden_state
    return hidden


READ: dict[str, Callable[[nn.Module, dict[str, Tensor]], Tensor]] = {"mean": read_mean, "first": read_first}
