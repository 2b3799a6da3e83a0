"""A compiled step against an eager one: the same loss and gradients, for every method."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from conftest import FAMILIES
from fixtures.configs import TWO_TOWERS
from torch.nn import functional as F

from peftlab.backbone.int8 import quantised
from peftlab.backbone.plain import is_int8
from peftlab.config.directory import config_dir
from peftlab.errors import UserError
from peftlab.fit import compiled
from peftlab.fit.compiled import CompiledStep
from peftlab.fit.learner import Learner
from peftlab.inputs.batch import Batch

HYBRIDS = {name: {"peft.parts.lora.depth": 0, "peft.parts.prefix.depth": 1} for name in ("hlpt", "h2lpt")}
METHODS = sorted(
    name
    for file in (config_dir() / "peft").glob("*.yaml")
    if not (name := Path(file).stem).startswith("mask_") and name not in TWO_TOWERS
)
IN_PLACE = ("bitfit", "full", "layernorm", "linear_probe", "partial")


class Endless:
    """Batches that nobody asks for."""

    num_batches = 1

    def iterate(self, start, share=(0, 1)):
        raise NotImplementedError


@pytest.fixture
def pair(recipe, family, adapt):
    """A learner of a method and a batch, every trained value moved."""

    def make(method, family_name="plain", **keys):
        backbone = quantised(FAMILIES["plain"](), "int8") if family_name == "int8" else family(family_name)
        scaling = "fixed" if method in IN_PLACE else "learned"
        model, scaled = adapt(recipe(method, scaling, None, **HYBRIDS.get(method, {}), **keys), backbone)
        for anchor in model.cell.anchors:
            if hasattr(anchor.delta, "dropout"):
                anchor.delta.dropout = 0.0
        rng = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for value in model.cell.parameters():
                value.add_(0.1 * torch.randn(value.shape, generator=rng))
        optimizers = [torch.optim.SGD(model.cell.theta().values(), lr=0.1)]
        optimizers += [] if scaled.optimizer is None else [scaled.optimizer]
        learner = Learner(
            model.cell,
            F.cross_entropy,
            lambda batch: len(batch.rows),
            Endless(),
            optimizers,
            None,
            0,
            torch.device("cpu"),
        )
        size = backbone.input_spec.size
        images = torch.randn(6, 3, size, size, generator=rng)
        return model.network, learner, Batch({"images": images}, torch.arange(6) % 3, torch.arange(6))

    return make


def eager(network, learner, batch, context=nullcontext):
    """Loss and gradients of half a batch's share."""
    with context():
        (output,) = network.outputs([learner.cell], batch.inputs, [learner.now(0)])
    loss = learner.loss(output.float(), batch.targets) * 0.5
    loss.backward()
    return loss.item(), taken(learner)


def taken(learner):
    """The gradients of what a learner owns, which has none afterwards."""
    grads = [value.grad for value in learner.owned()]
    for value in learner.owned():
        value.grad = None
    return grads


def check(network, learner, batch, context=nullcontext, **tolerance):
    loss, grads = eager(network, learner, batch, context)
    step = CompiledStep(network, learner, context, 6)
    assert step.takes(batch)
    for _ in range(2):
        assert step(batch, learner.now(0), 0.5) == pytest.approx(loss, rel=1e-5)
        for got, expected in zip(taken(learner), grads, strict=True):
            assert (got is None) == (expected is None)
            if got is not None:
                torch.testing.assert_close(got, expected, **tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_compiled_is_the_eager_step(pair, monkeypatch, method):
    """The graph alone: what a compiler makes of it is the same for all methods."""
    monkeypatch.setattr(torch, "compile", lambda traced, **options: traced)
    check(*pair(method), rtol=1e-4, atol=1e-6)


def test_a_graph_sees_later_values_and_adds_to_gradients(pair, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda traced, **options: traced)
    network, learner, batch = pair("lora")
    step = CompiledStep(network, learner, nullcontext, 6)
    step(batch, learner.now(0), 0.5)
    with torch.no_grad():
        for value in learner.owned():
            value.mul_(1.5)
    step(batch, learner.now(0), 0.5)
    both = taken(learner)
    second = eager(network, learner, batch)[1]
    with torch.no_grad():
        for value in learner.owned():
            value.div_(1.5)
    first = eager(network, learner, batch)[1]
    for got, one, other in zip(both, first, second, strict=True):
        torch.testing.assert_close(got, one + other, rtol=1e-4, atol=1e-6)


def test_in_bf16(pair, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda traced, **options: traced)
    check(*pair("lora"), lambda: torch.autocast("cpu", torch.bfloat16), rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("method", ["lora", "adaptformer"])
def test_frozen_weights_in_int8_are_part_of_a_graph(pair, monkeypatch, method):
    pytest.importorskip("torchao", reason="peftlab[quantise] is not installed")
    monkeypatch.setattr(torch, "compile", lambda traced, **options: traced)
    network, *rest = pair(method, "int8")
    assert any(is_int8(value) for value in network.backbone.model.parameters())
    check(network, *rest, rtol=1e-4, atol=1e-6)


def test_a_batch_of_another_size_is_not_taken(pair):
    network, learner, batch = pair("lora")
    assert not CompiledStep(network, learner, nullcontext, 7).takes(batch)


def test_a_loss_that_is_not_finite_leaves_no_gradient(pair, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda traced, **options: traced)
    network, learner, batch = pair("lora")
    batch.inputs["images"].fill_(torch.nan)
    assert CompiledStep(network, learner, nullcontext, 6)(batch, learner.now(0), 0.5) != 0
    assert all(value.grad is None for value in learner.owned())


def test_a_method_that_draws_is_refused(pair, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda traced, **options: traced)
    network, learner, batch = pair("lora")
    for anchor in learner.cell.anchors:
        anchor.delta.dropout = 0.5
    with pytest.raises(UserError, match="draws random numbers"):
        CompiledStep(network, learner, nullcontext, 6)(batch, learner.now(0), 0.5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_in_earnest(pair, monkeypatch, backend):
    monkeypatch.setattr(compiled, "BACKEND", backend)
    check(*pair("lora"), rtol=1e-3, atol=1e-5)
