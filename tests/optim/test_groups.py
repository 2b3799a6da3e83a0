"""Which decay each kind of parameter has."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from peftlab.config.resolve import resolve
from peftlab.optim.groups import groups

Made = Callable[..., Any]
DECAYS = {"weight_decay": 0.3, "gate_decay": 0.2, "selected_decay": 0.1}


def test_each_kind_has_its_own_decay_and_a_kind_that_is_not_there_no_group() -> None:
    weights, gates, selected = ([nn.Parameter(torch.zeros(n))] for n in (1, 2, 3))
    found = groups({"weights": weights, "gates": gates, "selected": selected}, **DECAYS)
    assert [(group["params"], group["weight_decay"]) for group in found] == [
        (weights, 0.3), (gates, 0.2), (selected, 0.1)
    ]  # fmt: skip
    assert groups({"weights": weights, "gates": [], "selected": []}, **DECAYS) == [
        {"params": weights, "weight_decay": 0.3}
    ]


@pytest.mark.parametrize("optim", ["adamw", "sgd"])
def test_gates_and_selected_weights_do_not_decay_by_default(composed: Made, optim: str) -> None:
    options = resolve(composed(f"optim={optim}")).optim.options
    assert options["weight_decay"] > 0
    assert options["gate_decay"] == options["selected_decay"] == 0


def by_decay(optimizer: torch.optim.Optimizer, names: dict[int, str]) -> dict[float, set[str]]:
    return {
        group["weight_decay"]: {names[id(value)] for value in group["params"]}
        for group in optimizer.param_groups
    }


@pytest.mark.parametrize("optim", ["adamw", "sgd"])
@pytest.mark.parametrize(
    ("peft", "scaling", "gates", "selected"),
    [
        ("lora", "fixed", (), ()),
        ("lora", "learned", (), ()),
        ("lora", "gated", ("gates.",), ()),
        ("mam", "gated", ("gates.",), ()),
        ("gated_prompt", "fixed", ("deltas.1_tokens.", "deltas.0_kv.", "deltas.1_kv."), ()),
        ("gated_prompt", "gated", ("gates.", "deltas.1_tokens.", "deltas.0_kv.", "deltas.1_kv."), ()),
        ("bitfit", "fixed", (), ("selected.",)),
        ("mask_random", "fixed", (), ("selected.",)),
    ],
)
def test_every_parameter_is_in_the_group_of_its_kind_and_gamma_in_none(
    recipe: Made, family: Made, adapt: Made, composed: Made,
    optim: str, peft: str, scaling: str, gates: tuple[str, ...], selected: tuple[str, ...],
) -> None:  # fmt: skip
    model, _ = adapt(recipe(peft, scaling), family("plain"))
    theta = model.theta()
    words = [f"optim.{key}={value}" for key, value in DECAYS.items()]
    optimizer = resolve(composed(f"optim={optim}", *words)).optim(model.cell.theta_by_kind())
    found = by_decay(optimizer, {id(value): name for name, value in theta.items()})
    expected = {
        0.2: {name for name in theta if name.startswith(gates or ("-",))},
        0.1: {name for name in theta if name.startswith(selected or ("-",))},
    }
    expected[0.3] = set(theta) - expected[0.2] - expected[0.1]
    assert any(name.startswith("head.") for name in expected[0.3])
    assert found == {decay: names for decay, names in expected.items() if names}
    assert not any("gamma" in name for names in found.values() for name in names)
    owned = {id(value) for group in optimizer.param_groups for value in group["params"]}
    assert all(id(value) not in owned for value in model.gamma.parameters())


def train(model: Any, optimizer: torch.optim.Optimizer, without: tuple[str, ...], num_steps: int = 4) -> None:
    """Some steps in which these parameters have a gradient of exactly 0."""
    rng = torch.Generator().manual_seed(2)
    for _ in range(num_steps):
        images = torch.randn(4, 3, 32, 32, generator=rng)
        F.cross_entropy(model(images), torch.arange(4) % 3).backward()
        for name, value in model.theta().items():
            if name.startswith(without):
                assert value.grad is not None
                value.grad.zero_()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize("optim", ["adamw", "sgd"])
def test_nothing_pulls_a_gate_or_a_temperature_to_0(
    recipe: Made, family: Made, adapt: Made, composed: Made, optim: str
) -> None:
    """gated_prompt: tau starts at what gives 1, the gate at -5; a decay would move both towards 0, where neither belongs."""
    words = (f"optim={optim}", "optim.weight_decay=0.5", "optim.lr=0.1")
    still = ("deltas.1_tokens.", "deltas.0_kv.", "deltas.1_kv.")
    for option, moves in (("optim.gate_decay=0.0", False), ("optim.gate_decay=0.5", True)):
        model, _ = adapt(recipe("gated_prompt"), family("plain"))
        before = {name: value.detach().clone() for name, value in model.theta().items()}
        optimizer = resolve(composed(*words, option)).optim(model.cell.theta_by_kind())
        train(model, optimizer, still)
        for name, value in model.theta().items():
            if name.startswith(still):
                assert before[name].abs().min() > 0
                if moves:
                    assert (value.abs() < before[name].abs()).all(), "the option of gates does something"
                else:
                    assert torch.equal(value, before[name]), name
            else:
                assert not torch.equal(value, before[name]), name


@pytest.mark.parametrize("optim", ["adamw", "sgd"])
@pytest.mark.parametrize("peft", ["bitfit", "mask_random"])
def test_nothing_pulls_a_selected_weight_to_0(
    recipe: Made, family: Made, adapt: Made, composed: Made, optim: str, peft: str
) -> None:
    words = (f"optim={optim}", "optim.weight_decay=0.5", "optim.lr=0.1")
    for option, moves in (("optim.selected_decay=0.0", False), ("optim.selected_decay=0.5", True)):
        model, _ = adapt(recipe(peft), family("plain"))
        before = {name: value.detach().clone() for name, value in model.theta().items()}
        optimizer = resolve(composed(*words, option)).optim(model.cell.theta_by_kind())
        train(model, optimizer, ("selected.",))
        names = [name for name in before if name.startswith("selected.")]
        assert names
        assert any(before[name].any() for name in names)
        for name in names:
            kept = torch.equal(model.theta()[name], before[name])
            assert kept == (not moves or not before[name].any()), name


def test_gates_of_scaling_do_not_decay_either(
    recipe: Made, family: Made, adapt: Made, composed: Made
) -> None:
    """b starts at logit(init), which is not 0."""
    model, _ = adapt(recipe("lora", "gated", **{"scaling.init": 0.8}), family("plain"))
    before = {
        name: value.detach().clone() for name, value in model.theta().items() if name.startswith("gates.")
    }
    optimizer = resolve(composed("optim=adamw", "optim.weight_decay=0.5")).optim(model.cell.theta_by_kind())
    train(model, optimizer, ("gates.",))
    assert before
    for name, value in before.items():
        assert torch.equal(model.theta()[name], value), name
