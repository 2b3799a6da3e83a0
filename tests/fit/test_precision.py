"""bf16 acts on the products of a forward, and on nothing else."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from peftlab.build.experiment import Experiment, build
from peftlab.config.resolve import resolve
from peftlab.fit.fit import Step, fit
from peftlab.fit.plan import Plan
from peftlab.fit.precision import FEW_KEYS, autocast

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


def test_a_frozen_weight_is_rounded_again_once_it_has_changed(plan: Callable[[str], Plan]) -> None:
    layer, x = nn.Linear(8, 5).requires_grad_(False), torch.randn(3, 8)
    changes: list[Callable[[], Any]] = [
        lambda: None,
        lambda: layer.weight.mul_(2),
        lambda: setattr(layer.weight, "data", torch.randn(5, 8)),
        lambda: layer.load_state_dict(nn.Linear(8, 5).state_dict()),
        lambda: layer.requires_grad_(True),
        lambda: layer.weight.data.zero_(),
    ]
    for change in changes:
        change()
        with autocast(plan("bf16"), CPU)():
            for _ in range(2):
                assert torch.equal(
                    layer(x), F.linear(x.bfloat16(), layer.weight.bfloat16(), layer.bias.bfloat16())
                )


def test_rounded_weights_go_with_their_layer(plan: Callable[[str], Plan]) -> None:
    rounded: list[weakref.ref[Tensor]] = []

    class Kept(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is F.linear:
                rounded.append(weakref.ref(args[1]))
            return func(*args, **(kwargs or {}))

    layer = nn.Linear(8, 5).requires_grad_(False)
    with Kept(), autocast(plan("bf16"), CPU)():
        layer(torch.randn(3, 8))
        layer(torch.randn(3, 8))
    first, second = (one() for one in rounded)
    assert first is second
    assert first is not None
    assert first.dtype == torch.bfloat16
    del layer, first, second
    assert rounded[0]() is None


@pytest.mark.parametrize("num_keys", [FEW_KEYS - 1, FEW_KEYS])
@pytest.mark.parametrize("masked", ["no", "causal", "some", "added"])
def test_attention_over_few_keys_is_that_of_fp32(
    plan: Callable[[str], Plan], num_keys: int, masked: str
) -> None:
    q, k, v = (torch.randn(1, 2, num_keys, 8).bfloat16().requires_grad_(True) for _ in range(3))
    some = torch.rand(num_keys, num_keys) < 0.5
    some.fill_diagonal_(True)
    added = torch.randn(num_keys, num_keys)
    how = {
        "no": {},
        "causal": {"is_causal": True},
        "some": {"attn_mask": some},
        "added": {"attn_mask": added},
    }[masked]

    def result(cast: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        out = F.scaled_dot_product_attention(cast(q), cast(k), cast(v), **how)  # type: ignore[arg-type]
        return out, *torch.autograd.grad(out.float().square().sum(), (q, k, v))

    with autocast(plan("bf16"), CPU)():
        ours = result(lambda x: x)
    exact = result(Tensor.float)
    assert (ours[0].dtype == torch.float32) == (num_keys < FEW_KEYS)
    for one, other in zip(ours, exact, strict=True):
        assert torch.equal(one, other) == (num_keys < FEW_KEYS)
        assert (one.float() - other.float()).norm() < 0.02 * other.float().norm()
