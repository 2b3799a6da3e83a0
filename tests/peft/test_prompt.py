"""Prompts: their start, their counts and their smaller widths. What they do among the tokens: tests/network/test_tokens.py."""

import math

import pytest
import torch

from peftlab.peft.prompt import Prompt
from peftlab.peft.view import Now, View

OPTIONS = {"num_tokens": 50, "bound": None, "patch_size": 16, "dropout": 0.0, "travels": True}


def prompt(num_in=64, **options):
    return Prompt(View(num_in, num_in), torch.Generator().manual_seed(0), **{**OPTIONS, **options})


@pytest.mark.parametrize(("bound", "expected"), [(None, math.sqrt(6 / (3 * 16**2 + 64))), (0.5, 0.5)])
def test_start_is_uniform(bound, expected):
    delta = prompt(bound=bound)
    assert delta.P.shape == (50, 64)
    assert delta.P.abs().max() <= expected
    assert abs(delta.P.std().item() / (expected / math.sqrt(3)) - 1) < 0.05
    assert abs(delta.P.mean().item()) < 0.05 * expected


def test_gamma_and_a_gate_multiply_and_what_came_before_is_replaced():
    delta = prompt(num_tokens=3)
    gate = torch.tensor([0.1, 0.7]).view(2, 1, 1)
    got = delta(torch.randn(2, 5, 64), torch.randn(2, 5, 64), torch.tensor(2.0), gate)
    torch.testing.assert_close(got, 2.0 * gate * delta.P)
    assert torch.equal(delta(None, None, None, None), delta.P)


def test_dropout_is_in_training_only_and_every_item_has_a_mask_of_its_own():
    """The prompts of all items, dropped as torch drops them: dropout(P.expand(b, -1, -1)), as in VPT."""
    delta = prompt(dropout=0.5)
    now = Now(training=True, rng=torch.Generator().manual_seed(0), num_items=6)
    dropped = delta(None, None, None, None, now)
    assert dropped.shape == (6, 50, 64)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], (2 * delta.P.expand(6, -1, -1))[kept])
    assert (kept.float().mean((1, 2)) > 0.45).all()
    assert (kept.float().mean((1, 2)) < 0.55).all()
    together = (kept[:, None] == kept[None]).float().mean((2, 3))  # two masks agree in half of their entries
    assert ((together - 0.5).abs() < 0.05).fill_diagonal_(True).all()
    assert torch.equal(delta(None, None, None, None), delta.P)
    assert torch.equal(delta(None, None, None, None, now._replace(dropout=False)), delta.P)


@pytest.mark.parametrize("method", ["vpt_deep", "vpt_shallow", "gated_prompt"])
def test_equal_images_of_a_batch_are_dropped_differently(recipe, family, adapt, method):
    part = "peft.parts.prompt." if method == "gated_prompt" else "peft."
    keys = {f"{part}dropout": 0.5, f"{part}bound": 1.0}
    if method == "gated_prompt":
        keys["peft.parts.gate.init"] = 0.0
    model, _ = adapt(recipe(method, **keys), family("plain"))
    images = torch.randn(1, 3, 32, 32).expand(4, -1, -1, -1)
    features = model.train().features(images)
    assert (features[1:] - features[:1]).abs().amax(1).min() > 1e-3
    features = model.eval().features(images)
    torch.testing.assert_close(features[1:], features[:1].expand(3, -1))


@pytest.mark.parametrize("active", [1, 2, 3])
def test_a_smaller_width_is_a_prompt_of_that_width(active):
    wide, narrow = prompt(num_tokens=3), prompt(num_tokens=active)
    with torch.no_grad():
        narrow.P.copy_(wide.P[:active])
    assert {name: value.shape for name, value in wide.used(active).items()} == {
        name: value.shape for name, value in narrow.named_parameters()
    }
    slope = torch.randn(active, 64)
    for delta, now in ((wide, Now(width=active)), (narrow, Now())):
        out = delta(None, None, torch.tensor(1.5), None, now)
        assert torch.equal(out, 1.5 * narrow.P)
        out.backward(slope)
    assert torch.equal(wide.P.grad[:active], narrow.P.grad)
    assert not wide.P.grad[active:].any()


@pytest.mark.parametrize(
    ("method", "num_tokens", "count"),
    [
        ("vpt_shallow", 10, 7_680),
        ("vpt_deep", 10, 92_160),
        ("vpt_deep", 50, 460_800),
        ("soft_prompt", 10, 7_680),
    ],
)
def test_counts_on_vit_base(recipe, vit_base, adapt, method, num_tokens, count):
    """num_tokens x 768 per block that has prompts of its own."""
    model, _ = adapt(recipe(method, **{"peft.num_tokens": num_tokens}), vit_base)
    assert model.num_parameters()["delta"] == count
