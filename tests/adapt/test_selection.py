"""Trainable copies of whole weights and of thirds of a fused one."""

import torch
from torch import nn
from torch.func import functional_call

from peftlab.adapt.selection import Selection

WHOLE = (0, 1)


def layer():
    return nn.ModuleDict({"qkv": nn.Linear(4, 6)}).requires_grad_(False)


def test_a_whole_weight_is_replaced_by_a_copy():
    model = layer()
    selection = Selection(model, [("qkv.weight", WHOLE)])
    (parameter,) = selection.parameters()
    assert parameter.requires_grad
    assert parameter.data_ptr() != model["qkv"].weight.data_ptr()
    assert selection.weights().keys() == {"qkv.weight"}
    assert selection.weights()["qkv.weight"] is parameter


def test_selected_thirds_are_trained_and_the_others_stay_frozen():
    model = layer()
    selection = Selection(model, [("qkv.weight", (2, 3)), ("qkv.weight", (0, 3)), ("qkv.bias", (1, 3))])
    assert sorted(tuple(value.shape) for value in selection.parameters()) == [(2,), (2, 4), (2, 4)]
    weights = selection.weights()
    assert torch.equal(weights["qkv.weight"], model["qkv"].weight)
    assert torch.equal(weights["qkv.bias"], model["qkv"].bias)
    slope = torch.arange(24.0).reshape(6, 4)
    (weights["qkv.weight"] * slope).sum().backward()
    grads = {name: value.grad for name, value in selection.named_parameters()}
    assert torch.equal(grads["qkv_weight_part0"], slope[:2])
    assert torch.equal(grads["qkv_weight_part2"], slope[4:])
    assert model["qkv"].weight.grad is None


def test_values_of_a_functional_call_are_used():
    """The preflight and the outer loop hand in plain tensors instead of parameters."""
    selection = Selection(layer(), [("qkv.weight", WHOLE), ("qkv.bias", (0, 3))])
    values = {name: torch.full_like(value, 7.0) for name, value in selection.named_parameters()}
    probe = nn.ModuleDict({"selection": selection})
    probe.forward = lambda: selection.weights()
    weights = functional_call(probe, {f"selection.{name}": value for name, value in values.items()}, ())
    assert (weights["qkv.weight"] == 7).all()
    assert (weights["qkv.bias"][:2] == 7).all()
    assert not (weights["qkv.bias"][2:] == 7).any()


def test_nothing_selected_gives_nothing():
    selection = Selection(layer(), [])
    assert selection.weights() == {}
    assert not list(selection.parameters())
