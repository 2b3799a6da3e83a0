"""Before training starts: is the adapted model the frozen one, and will every trainable tensor learn?"""

import math

import torch
from torch import Tensor
from torch.func import functional_call

from peftlab.errors import UserError
from peftlab.loss.cross_entropy import Loss
from peftlab.network.adapted import Adapted

NUM_STEPS = 3  # B = 0 hides A's gradient for one step; a head of zeros hides B's for one more


class DeadTensor(UserError):
    """A tensor that would never be trained, or a frozen one that would."""


def preflight(model: Adapted, images: Tensor, labels: Tensor, frozen: Tensor, loss: Loss) -> float:
    """Identity and gradient checks on one small batch, on copies: neither weights nor `.grad` change.

    `frozen` are the backbone's features of `images` before anything was attached. Returns the largest difference,
    which is 0 for every method that is the identity at its start (prompts and prefixes are not).

    Raises:
        DeadTensor: naming the first tensor without a gradient, or a frozen tensor that has one.
        UserError: if the model's features are not the frozen ones at the start.
    """
    with torch.no_grad():
        difference = (model.features(images) - frozen).abs().max().item()
    if not math.isfinite(difference):
        raise UserError(
            f"peft: the features of the adapted model differ by {difference} from the frozen ones at the start"
        )
    if difference != 0 and model.is_identity:
        raise UserError(
            f"peft: the adapted model differs from the frozen one by {difference:.3g} at the start; it must not"
        )
    _gradients(model, images, labels, loss)
    return difference


def _gradients(model: Adapted, images: Tensor, labels: Tensor, loss: Loss) -> None:
    values: dict[str, Tensor] = {name: value.detach().clone() for name, value in model.theta().items()}
    gamma = model.gamma.raw
    waiting = set(values) | ({"gamma.raw"} if gamma is not None else set())
    if gamma is not None:
        values["gamma.raw"] = gamma.detach().clone()
    # wiring is what is checked: an alpha of 1e6 saturates the network, one of 0 switches it off, and both may be asked for
    wiring = {"gamma.multiplier": torch.ones_like(model.gamma.multiplier)}
    for _ in range(NUM_STEPS):
        values = {name: value.detach().requires_grad_() for name, value in values.items()}
        result = loss(functional_call(model, {**values, **wiring}, (images,)), labels)
        grads = torch.autograd.grad(result, list(values.values()), allow_unused=True)
        for name, grad in zip(list(values), grads, strict=True):
            if grad is not None and grad.any():
                waiting.discard(name)
        if not waiting:
            break
        with torch.no_grad():
            values = {
                name: value - _step(value, grad)
                for (name, value), grad in zip(values.items(), grads, strict=True)
            }
    if waiting:
        raise DeadTensor(
            f"peft: {sorted(waiting)[0]} receives no gradient within {NUM_STEPS} steps, so it would never be trained"
        )
    trained = [name for name, value in model.backbone.named_parameters() if value.requires_grad]
    if trained:
        raise DeadTensor(f"peft: the backbone's {trained[0]} is not frozen")


def _step(value: Tensor, grad: Tensor | None) -> Tensor:
    """A step of fixed relative size: a plain learning rate would be too small or too large for some tensor."""
    if grad is None or not grad.any():
        return torch.zeros_like(value)
    return 0.01 * grad / grad.norm() * max(1.0, value.norm().item())
