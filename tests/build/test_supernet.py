"""A supernet is its sub-networks: each computes what a model of these widths computes with the same weights."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from peftlab.build.supernet import space_of
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.inputs.batch import Batch
from peftlab.option import Choice
from peftlab.scaling.outer import Drawn, Outer, Problem
from peftlab.site import Site

SUPERNET = {
    "_target_": "peftlab.placement.supernet.supernet",
    "widths": [1, 2, 4],
    "depths": [0.5, 1.0],
    "budget": None,
    "tower": "both",
}
GENOTYPE = ((2, 0), (4, 1), (1, 2))
PARTS = {"prompt": ("tokens",), "lora": ("q", "k", "v"), "adapter": ("ffn",)}


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
    sites = {name: [site for site in model.sites if site.position in own] for name, own in PARTS.items()}
    return model, space_of({site: model.delta_at(site) for site in model.sites}, sites, SUPERNET), scaled


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
    own, _ = adapt(recipe("noah", cells=space.cells(GENOTYPE), **_widths(4)), family("plain"))
    assert {site for site, width in space.active(GENOTYPE).items() if width} == set(own.sites)
    with torch.no_grad():
        for site in own.sites:
            used = model.delta_at(site).used(model.widths[site])
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
        widths = model.cell.sample(step(number))
        assert set(widths) == set(model.sites)
        seen.append(tuple((site, widths[site]) for site in model.sites))
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


def test_it_is_whole_or_what_was_asked_for_and_a_draw_changes_nothing_of_it(recipe, family, adapt):
    """The widths of a step are a value that is passed with the forward, in training and in evaluation."""
    model, space, _ = supernet(recipe, family, adapt)
    model.eval()
    images, full = images_of(), dict.fromkeys(model.sites, 4)
    whole = model.features(images)
    drawn = model.cell.sample(step(3))
    assert set(drawn.values()) - {4}
    assert model.widths == {}
    assert torch.equal(model.features(images), whole)
    torch.testing.assert_close(_features(model, images, full), whole)
    asked = space.active(GENOTYPE)
    model.use(asked)
    assert torch.equal(model.features(images), _features(model, images, asked))
    assert (model.features(images) - whole).norm() > 0.05 * whole.norm()
    assert not torch.equal(_features(model, images, drawn), _features(model, images, asked))
    model.train()
    assert model.widths == asked
    model.eval().use({})
    assert torch.equal(model.features(images), whole)


def _features(model, images, widths):
    return model.network.features([model.cell], {"images": images}, [{"widths": widths}])[0]


def test_only_what_was_drawn_gets_a_gradient(recipe, family, adapt):
    model, _, _ = supernet(recipe, family, adapt)
    kinds = set()
    for number in range(12):
        model.use(model.cell.sample(step(number)))
        model.zero_grad(set_to_none=True)
        model(images_of()).square().sum().backward()
        for site in model.sites:
            delta = model.delta_at(site)
            if model.widths[site] == 0:
                assert all(value.grad is None for value in delta.parameters())
                kinds.add("off")
                continue
            used = {name: value.shape for name, value in delta.used(model.widths[site]).items()}
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
    model.use(_with_a_site_that_is_off(model))
    model(images_of()).square().sum().backward()
    for index, site in enumerate(model.sites):
        key = f"{site.block}_{site.position}"
        acts = (
            model.gamma.raw.grad[index] != 0
            if scaling == "learned"
            else model.cell.gates[key].b.grad is not None
        )
        assert acts == (model.widths[site] != 0)


def _with_a_site_that_is_off(model):
    drawn = (model.cell.sample(step(number)) for number in range(99))
    return next(widths for widths in drawn if 0 in widths.values())


@pytest.mark.parametrize("estimator", ["direct", "unrolled", "implicit"])
def test_the_outer_loop_works_on_the_sub_network_of_its_step(recipe, family, adapt, estimator):
    options = {"direct": {}, "unrolled": {"num_steps": 2, "lr": 0.1}, "implicit": {"num_terms": 2, "lr": 0.1}}
    chosen = Choice(f"peftlab.scaling.estimator.{estimator}.{estimator}", options[estimator])
    model, _, scaled = supernet(recipe, family, adapt, scaling="meta")
    batch = Batch({"images": images_of()}, torch.arange(5) % 3, torch.arange(5))

    def value(loss, theta, gamma, batch, now):
        values = {**theta, "gamma.raw": gamma["raw"]}
        return loss(
            functional_call(model.cell, values, (model.network, batch.inputs), dict(now)), batch.targets
        )

    outer = Outer(
        model.gamma,
        replace(scaled.outer, warmup=0),
        chosen,
        Problem(
            theta=lambda: {name: value.detach() for name, value in model.theta().items()},
            value=value,
            inner_loss=F.cross_entropy,
            draw=lambda number: Drawn(lambda index: batch, F.cross_entropy),
        ),
    )
    outer.recent.append(batch)
    widths = _with_a_site_that_is_off(model)
    taken = outer.step(1, {"rng": step(0), "widths": widths})
    assert math.isfinite(taken.loss)
    for site in model.sites:
        off = widths[site] == 0
        assert (taken.grad[str(site)] == 0) == off
        assert (str(site) in taken.ratio) != off


def _space(model):
    """What would be searched if the sites of this model were a supernet's."""
    deltas = {site: model.delta_at(site) for site in model.sites}
    sites = {"peft": model.sites} if len({type(delta) for delta in deltas.values()}) == 1 else {
        name: [site for site in model.sites if site.position in own] for name, own in PARTS.items()
    }  # fmt: skip
    return space_of(deltas, sites, SUPERNET)


def test_parts_that_cannot_be_narrower_are_refused(recipe, family, adapt):
    with pytest.raises(
        UserError, match=r"^placement=supernet: the part peft is DyLora, which has no smaller width"
    ):
        _space(adapt(recipe("dylora", **{"peft.rank": 4}), family("plain"))[0])
    with pytest.raises(UserError, match=r"^placement=supernet: the part peft is a selection of weights"):
        space_of({}, {"peft": [Site(0, "q")]}, SUPERNET)
    with pytest.raises(
        UserError, match=r"^placement\.widths=\[1, 2, 4\] ends at 4, and prompt at 0\.tokens has num_tokens=5"
    ):
        _space(adapt(recipe("noah", **_widths(5)), family("plain"))[0])
    with pytest.raises(
        UserError, match=r"^placement=supernet: the part peft has no site; legal: a site of every"
    ):
        space_of({}, {"peft": []}, SUPERNET)


@pytest.mark.parametrize(
    ("peft", "keys", "sentence"),
    [
        (
            "dylora",
            {"peft.rank": 4},
            r"placement=supernet needs parts of elastic width .*, and peft has none",
        ),
        ("bitfit", {}, r"placement=supernet needs parts of elastic width .*, and peft has none"),
        (
            "noah",
            _widths(5),
            r"placement\.widths=\[1, 2, 4\] ends at 4, and peft\.parts\.prompt\.num_tokens=5",
        ),
    ],
)
def test_they_are_refused_before_there_is_a_network(recipe, peft, keys, sentence):
    with pytest.raises(UserError, match=f"^{sentence}"):
        resolve(recipe(peft, placement=SUPERNET, **keys))
