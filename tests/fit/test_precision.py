"""bf16 acts on the products of a forward, and on nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from peftlab.build.experiment import Experiment, build
from peftlab.config.resolve import resolve
from peftlab.fit.fit import Step, fit
from peftlab.fit.plan import Plan
from peftlab.fit.precision import autocast

SMALL = ("recipe=lift", "backbone=tiny", "fit.epochs=2", "fit.batch_size=64", "head=linear")
CPU = torch.device("cpu")
Config = Callable[..., dict[str, Any]]


@pytest.fixture
def plan(base: dict[str, Any]) -> Callable[[str], Plan]:
    """`plan("bf16")`: the default one in this precision."""
    options = {key: value for key, value in base["fit"].items() if key != "_target_"}
    return lambda precision: Plan(**{**options, "precision": precision})


def losses(experiment: Experiment) -> list[float]:
    """Of all steps."""
    found = []
    for happened in fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0):
        assert isinstance(happened[0], Step)
        found.append(happened[0].loss)
    return found


def test_bf16_keeps_trained_tensors_in_fp32_and_stays_close(composed: Config) -> None:
    full, half = (build(resolve(composed(*SMALL, f"fit.precision={name}"))) for name in ("fp32", "bf16"))
    first, second = losses(full), losses(half)
    assert all(value.dtype == torch.float32 for value in half.cell.theta().values())
    assert second[0] == pytest.approx(first[0], rel=0.02)
    assert second[0] != first[0], "autocast did nothing"
    with autocast(half.resolved.fit, half.trunk.device)():
        (output,) = half.network.outputs([half.cell], {"images": torch.zeros(1, 3, 32, 32)})
    assert output.dtype == torch.bfloat16


def test_a_product_is_that_of_rounded_factors_and_its_gradient_is_fp32(plan: Callable[[str], Plan]) -> None:
    x, weight = torch.randn(3, 8), torch.randn(5, 8, requires_grad=True)
    with autocast(plan("bf16"), CPU)():
        product = F.linear(x, weight)
    assert torch.equal(product, F.linear(x.bfloat16(), weight.bfloat16()))
    assert not torch.equal(product.float(), F.linear(x, weight))
    product.float().sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == weight.dtype == torch.float32


def test_fp32_is_left_as_it_is(plan: Callable[[str], Plan]) -> None:
    x, weight = torch.randn(3, 8), torch.randn(5, 8)
    with autocast(plan("fp32"), CPU)():
        assert torch.equal(F.linear(x, weight), x @ weight.T)
        assert not torch.is_autocast_enabled("cpu")


def test_each_forward_enters_a_context_of_its_own(plan: Callable[[str], Plan]) -> None:
    """Also one inside another, as an outer loss is measured inside a step."""
    context = autocast(plan("bf16"), CPU)
    for _ in range(2):
        with context():
            with context():
                assert torch.is_autocast_enabled("cpu")
            assert torch.is_autocast_enabled("cpu")
            assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert not torch.is_autocast_enabled("cpu")
