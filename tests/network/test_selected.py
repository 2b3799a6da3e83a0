"""Trainable copies of whole weights, of thirds of a fused one, and of single entries."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from peftlab.errors import UserError
from peftlab.network.selected import Selected, weight_key
from peftlab.peft.weights import Weight

WHOLE = (0, 1)


def layer():
    return nn.ModuleDict({"qkv": nn.Linear(4, 6)}).requires_grad_(False)


def of(model, name, part=WHOLE):
    weight = Weight(name, part, model.get_parameter(name).detach(), None)
    return weight._replace(value=weight.of(weight.value))


def test_a_whole_weight_is_replaced_by_a_copy():
    model = layer()
    selected = Selected(model, [(of(model, "qkv.weight"), None)])
    (parameter,) = selected.parameters()
    assert parameter.requires_grad
    assert parameter.data_ptr() != model["qkv"].weight.data_ptr()
    assert selected.weights().keys() == {"qkv.weight"}
    assert selected.weights()["qkv.weight"] is parameter
    assert selected.indices() == {}


def test_selected_thirds_are_trained_and_the_others_stay_frozen():
    model = layer()
    chosen = [("qkv.weight", (2, 3)), ("qkv.weight", (0, 3)), ("qkv.bias", (1, 3))]
    selected = Selected(model, [(of(model, *pair), None) for pair in chosen])
    assert sorted(tuple(value.shape) for value in selected.parameters()) == [(2,), (2, 4), (2, 4)]
    weights = selected.weights()
    assert torch.equal(weights["qkv.weight"], model["qkv"].weight)
    assert torch.equal(weights["qkv.bias"], model["qkv"].bias)
    slope = torch.arange(24.0).reshape(6, 4)
    (weights["qkv.weight"] * slope).sum().backward()
    grads = {name: value.grad for name, value in selected.named_parameters()}
    assert torch.equal(grads["qkv_weight_part0"], slope[:2])
    assert torch.equal(grads["qkv_weight_part2"], slope[4:])
    assert model["qkv"].weight.grad is None


@pytest.mark.parametrize(("part", "rows"), [(WHOLE, slice(0, 6)), ((1, 3), slice(2, 4))])
def test_single_entries_are_one_vector_and_the_others_stay_frozen(part, rows):
    model = layer()
    weight = of(model, "qkv.weight", part)
    mask = torch.zeros(weight.value.shape, dtype=torch.bool)
    mask[0, 3] = mask[1, 1] = True
    selected = Selected(model, [(weight, mask)])
    (parameter,) = selected.parameters()
    assert torch.equal(parameter, weight.value[mask])
    assert torch.equal(selected.indices()[weight_key(weight)], torch.tensor([3, 5]))
    assert torch.equal(selected.weights()["qkv.weight"], model["qkv"].weight)
    slope = torch.arange(24.0).reshape(6, 4)
    (selected.weights()["qkv.weight"] * slope).sum().backward()
    assert torch.equal(parameter.grad, slope[rows][mask])
    with torch.no_grad():
        parameter.add_(1.0)
    change = selected.weights()["qkv.weight"] - model["qkv"].weight
    expected = torch.zeros(6, 4)
    expected[rows][mask] = 1.0
    assert torch.allclose(change, expected)
    assert (change[expected == 0] == 0).all()


def test_the_mask_belongs_to_the_state_and_not_to_what_trains():
    model = layer()
    selected = Selected(model, [(of(model, "qkv.bias"), torch.arange(6) > 3)])
    assert dict(selected.named_parameters()).keys() == {"qkv_bias"}
    assert selected.state_dict().keys() == {"qkv_bias", "qkv_bias_index"}
    assert selected.indices().keys() == {"qkv_bias"}


def test_values_of_a_functional_call_are_used():
    """The preflight and the outer loop hand in plain tensors instead of parameters."""
    model = layer()
    mask = torch.tensor([True, False])
    chosen = [
        (of(model, "qkv.weight"), None),
        (of(model, "qkv.bias", (0, 3)), None),
        (of(model, "qkv.bias", (1, 3)), mask),
    ]
    selected = Selected(model, chosen)
    values = {name: torch.full_like(value, 7.0) for name, value in selected.named_parameters()}
    probe = nn.ModuleDict({"selected": selected})
    probe.forward = lambda: selected.weights()
    weights = functional_call(probe, {f"selected.{name}": value for name, value in values.items()}, ())
    assert (weights["qkv.weight"] == 7).all()
    assert (weights["qkv.bias"] == 7).tolist() == [True, True, True, False, False, False]


def test_the_same_weight_twice_is_refused():
    model = layer()
    twice = [
        (of(model, "qkv.bias", (0, 3)), None),
        (of(model, "qkv.bias", (0, 3)), torch.tensor([True, False])),
    ]
    with pytest.raises(UserError, match="two parts of the method train qkv_bias_part0"):
        Selected(model, twice)


def test_nothing_selected_gives_nothing():
    selected = Selected(layer(), [])
    assert selected.weights() == {}
    assert not list(selected.parameters())
