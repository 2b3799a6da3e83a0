"""Before training starts: is the adapted network the frozen one, and will every trainable tensor learn?"""

import math

import torch
from torch import Tensor
from torch.func import functional_call

from peftlab.build.trunk import Probe
from peftlab.errors import UserError
from peftlab.fit.learner import Loss
from peftlab.network.cell import Cell
from peftlab.network.network import Network
from peftlab.stream import generator

NUM_STEPS = 3  # B = 0 hides A's gradient for one step; a head of zeros hides B's for one more


class DeadTensor(UserError):
    """A tensor that would never be trained, or a frozen one that would."""


def preflight(network: Network, cell: Cell, probe: Probe, loss: Loss) -> float:
    """Identity and gradient checks on one small batch, on copies: neither weights nor `.grad` change.

    Returns the largest difference of the features from the frozen ones, which is 0 for every method that is the
    identity at its start (prompts and prefixes are not).

    Raises:
        DeadTensor: naming the first tensor without a gradient, or a frozen tensor that has one.
        UserError: if the features are not the frozen ones at the start.
    """
    rng = generator(0, "preflight", device=probe.features.device)
    with torch.no_grad():
        (features,) = network.features([cell], probe.inputs, [{"rng": rng}])
        difference = (features - probe.features).abs().max().item()
    if not math.isfinite(difference):
        raise UserError(
            f"peft: the features of the adapted model differ by {difference} from the frozen ones at the start"
        )
    if difference != 0 and cell.is_identity:
        raise UserError(
            f"peft: the adapted model differs from the frozen one by {difference:.3g} at the start; it must not"
        )
    waiting = _without_gradient(network, cell, probe, loss)
    if waiting:
        raise DeadTensor(
            f"peft: {sorted(waiting)[0]} receives no gradient within {NUM_STEPS} steps, so it would never be trained"
        )
    model = network.backbone.model
    trained = [name for name, value in model.named_parameters() if value.requires_grad]
    if trained:
        raise DeadTensor(f"peft: the backbone's {trained[0]} is not frozen")
    return difference


def _without_gradient(network: Network, cell: Cell, probe: Probe, loss: Loss) -> set[str]:
    """The trained tensors whose gradient is 0 in each of the first steps."""
    values: dict[str, Tensor] = {name: value.detach().clone() for name, value in cell.theta().items()}
    if cell.gamma.raw is not None:
        values["gamma.raw"] = cell.gamma.raw.detach().clone()
    waiting = set(values) - {f"selected.{key}" for key in cell.selected.of_tables()}
    # wiring is what is checked: an alpha of 1e6 saturates the network, one of 0 switches it off, and both may be asked for
    wiring = {"gamma.multiplier": torch.ones_like(cell.gamma.multiplier)}
    for step in range(NUM_STEPS) if values else ():
        rng = generator(0, "preflight", step, device=probe.features.device)
        values = {name: value.detach().requires_grad_() for name, value in values.items()}
        outputs = functional_call(cell, {**values, **wiring}, (network, probe.inputs), {"rng": rng})
        grads = torch.autograd.grad(loss(outputs, probe.targets), list(values.values()), allow_unused=True)
        found = dict(zip(values, grads, strict=True))
        waiting -= {name for name, grad in found.items() if grad is not None and grad.any()}
        if not waiting:
            break
        with torch.no_grad():
            values = {name: value - _step(value, found[name]) for name, value in values.items()}
    return waiting


def _step(value: Tensor, grad: Tensor | None) -> Tensor:
    """A step of fixed relative size: a plain learning rate would be too small or too large for some tensor."""
    if grad is None or not grad.any():
        return torch.zeros_like(value)
    return 0.01 * grad / grad.norm() * max(1.0, value.norm().item())
