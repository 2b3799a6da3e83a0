"""A supernet is its sub-networks: each computes what a model of these widths computes with the same weights."""

import math
from collections import Counter
from contextlib import nullcontext
from functools import partial
from importlib import import_module

import pytest
import torch
from torch.nn import functional as F

from peftlab.build.supernet import space_of
from peftlab.config.place import resolve_placement
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch
from peftlab.site import Site

SUPERNET = {
    "_target_": "peftlab.placement.supernet.supernet",
    "_partial_": True,
    "widths": [1, 2, 4],
    "depths": [0.5, 1.0],
    "budget": None,
}
GENOTYPE = ((2, 0), (4, 1), (1, 2))


def config_of(recipe, scaling="fixed", **keys):
    return recipe("noah", scaling, placement=SUPERNET, **_widths(4), **keys)


def _widths(width):
    options = {"prompt": "num_tokens", "lora": "rank", "adapter": "bottleneck"}
    return {f"peft.parts.{part}.{option}": width for part, option in options.items()}


def supernet(recipe, family, adapt, **keys):
    backbone = family("plain")
    config = config_of(recipe, **keys)
    model, scaled = adapt(config, backbone)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in model.deltas.parameters():
            value.copy_(0.5 * torch.randn(value.shape, generator=rng))
    placed = resolve_placement(config, backbone.labels, backbone.positions)
    return model, space_of({site: model.delta_at(site) for site in model.sites}, placed, SUPERNET), scaled


def images_of(num=5):
    return torch.randn(num, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def step(number):
    return torch.Generator().manual_seed(number)


def test_a_sub_network_is_a_model_of_these_widths(recipe, family, adapt):
    model, space, _ = supernet(recipe, family, adapt)
    model.eval()
    whole = model.features(images_of())
    model.use(space.active(GENOTYPE))
    got = model.features(images_of())
    model.attachment.detach()
    own, _ = adapt(recipe("noah", cells=space.cells(GENOTYPE), **_widths(4)), family("plain"))
    assert {site for site in model.sites if model.delta_at(site).active} == set(own.sites)
    with torch.no_grad():
        for site in own.sites:
            used = model.delta_at(site).used()
            for name, value in own.delta_at(site).named_parameters():
                value.copy_(used[name])
    torch.testing.assert_close(got, own.eval().features(images_of()), rtol=1e-5, atol=1e-5)
    assert (got - whole).norm() > 0.05 * whole.norm()
    assert space.cost(GENOTYPE) == own.num_parameters()["delta"]


def test_cost_in_closed_form(recipe, family, adapt):
    """d = 16: a prompt has 16 numbers, q, k and v 32 a rank each, an adapter 33 a unit and 16 biases at the end."""
    _, space, _ = supernet(recipe, family, adapt)
    assert [stack.name for stack in space.stacks] == ["prompt", "lora", "adapter"]
    assert space.cost(GENOTYPE) == 16 * 2 + 96 * 5 + 33 * 3 + 2 * 16


def test_every_step_draws_a_sub_network_by_its_number_alone(recipe, family, adapt):
    model, _, _ = supernet(recipe, family, adapt)
    seen = []
    for number in (*range(300), 7):
        model.draw(step(number))
        seen.append(tuple((site, model.delta_at(site).active) for site in model.sites))
    assert seen[7] == seen[-1]
    assert len(set(seen)) > 150
    for widths in map(dict, seen):
        assert all(
            widths[Site(block, "q")] == widths[Site(block, "k")] == widths[Site(block, "v")]
            for block in (0, 1)
        )
    firsts = Counter(dict(drawn)[Site(0, "q")] for drawn in seen)
    assert set(firsts) == {1, 2, 4}
    assert 0 in {dict(drawn)[Site(1, "ffn")] for drawn in seen}


def test_outside_training_it_is_whole_or_what_was_asked_for(recipe, family, adapt):
    model, space, _ = supernet(recipe, family, adapt)

    def active():
        return {site: model.delta_at(site).active for site in model.sites}

    assert set(active().values()) == {None}
    model.draw(step(3))
    drawn = active()
    assert None not in drawn.values()
    assert set(model.eval() and active().values()) == {None}
    model.use(space.active(GENOTYPE))
    assert active() == space.active(GENOTYPE)
    model.train()
    assert active() == drawn
    model.eval().use({})
    assert set(active().values()) == {None}


def test_only_what_was_drawn_gets_a_gradient(recipe, family, adapt):
    model, _, _ = supernet(recipe, family, adapt)
    kinds = set()
    for number in range(12):
        model.draw(step(number))
        model.zero_grad(set_to_none=True)
        model(images_of()).square().sum().backward()
        for site in model.sites:
            delta = model.delta_at(site)
            if delta.active == 0:
                assert all(value.grad is None for value in delta.parameters())
                kinds.add("off")
                continue
            used = {name: value.shape for name, value in delta.used().items()}
            for name, value in delta.named_parameters():
                inside = tuple(slice(size) for size in used[name])
                outside = value.grad.clone()
                assert value.grad[inside].any()
                outside[inside] = 0
                assert not outside.any()
                kinds.add("part" if used[name] != value.shape else "whole")
    assert kinds == {"off", "part", "whole"}


@pytest.mark.parametrize("scaling", ["learned", "gated"])
def test_gammas_and_gates_of_sites_that_are_off_stay_as_they_are(recipe, family, adapt, scaling):
    model, _, _ = supernet(recipe, family, adapt, scaling=scaling)
    model.draw(step(next(n for n in range(99) if _is_off(model, n))))
    model(images_of()).square().sum().backward()
    for index, site in enumerate(model.sites):
        key = f"{site.block}_{site.position}"
        acts = (
            model.gamma.raw.grad[index] != 0 if scaling == "learned" else model.gates[key].b.grad is not None
        )
        assert acts == (model.delta_at(site).active != 0)


def _is_off(model, number):
    model.draw(step(number))
    return any(model.delta_at(site).active == 0 for site in model.sites)


@pytest.mark.parametrize("estimator", ["direct", "unrolled", "implicit"])
def test_the_outer_loop_works_on_the_sub_network_of_its_step(recipe, family, adapt, estimator):
    options = {"direct": {}, "unrolled": {"num_steps": 2, "lr": 0.1}, "implicit": {"num_terms": 2, "lr": 0.1}}
    function = getattr(import_module(f"peftlab.scaling.estimator.{estimator}"), estimator)
    model, _, scaled = supernet(recipe, family, adapt, scaling="meta")
    batch = Batch({"images": images_of()}, torch.arange(5) % 3, torch.arange(5))
    keys = {key: value for key, value in scaled.outer.keywords.items() if key != "warmup"}
    outer = scaled.outer.func(
        model,
        lambda draw: (lambda number: batch, F.cross_entropy),
        F.cross_entropy,
        nullcontext,
        partial(function, **options[estimator]),
        warmup=0,
        **keys,
    )
    outer.recent.append(batch)
    next(n for n in range(99) if _is_off(model, n))
    taken = outer.step(1)
    assert math.isfinite(taken.loss)
    for site in model.sites:
        off = model.delta_at(site).active == 0
        assert (taken.grad[str(site)] == 0) == off
        assert (str(site) in taken.ratio) != off


def test_parts_that_cannot_be_narrower_are_refused(recipe, family, adapt):
    with pytest.raises(
        UserError, match=r"^placement=supernet: the part peft is DyLora, which has no smaller width"
    ):
        adapt(recipe("dylora", placement=SUPERNET, **{"peft.rank": 4}), family("plain"))
    with pytest.raises(UserError, match=r"^placement=supernet: the part peft is a selection of weights"):
        adapt(recipe("bitfit", placement=SUPERNET), family("plain"))
    with pytest.raises(
        UserError, match=r"^placement\.widths=\[1, 2, 4\] ends at 4, and prompt at 0\.tokens has num_tokens=5"
    ):
        adapt(recipe("noah", placement=SUPERNET, **_widths(5)), family("plain"))
