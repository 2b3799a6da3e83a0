"""A cell on a backbone: sites, deltas, scaling, and what is refused where a method does not fit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from peftlab.build.cell import build_cell, place_on
from peftlab.build.start import Start
from peftlab.config.place import Placed
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.network.cell import Cell
from peftlab.site import Site, site_order

Made = Callable[..., Any]


def resolved(recipe: Made, *words: Any, **more: Any) -> Resolved:
    return resolve(recipe(*words, **more))


def cell_of(run: Resolved, backbone: Any, placed: Placed | None = None) -> Cell:
    head = nn.Linear(backbone.num_features, 3)
    return build_cell(run, backbone, placed or place_on(run, backbone), Start(head)).cell


def test_the_sites_are_those_that_were_placed_from_the_bottom_up(recipe: Made, family: Made) -> None:
    run = resolved(recipe, "mam", **{"placement.depth": "all"})
    placed = place_on(run, family("plain"))
    cell = cell_of(run, family("plain"), placed)
    assert set(cell.sites) == placed.sites
    assert cell.sites == sorted(cell.sites, key=site_order), "whatever the order of the parts"
    assert cell.gamma.sites == cell.sites


def test_a_delta_starts_from_its_site_s_own_stream(recipe: Made, family: Made) -> None:
    """So two runs that differ in placement are paired, and another seed is another start."""
    whole = cell_of(resolved(recipe, "lora"), family("plain"))
    part = cell_of(resolved(recipe, "lora", cells={"1.v": {}}), family("plain"))
    other = cell_of(resolved(recipe, "lora", seed=1), family("plain"))
    site = Site(1, "v")
    assert torch.equal(whole.delta_at(site).A, part.delta_at(site).A)
    assert not torch.equal(whole.delta_at(site).A, other.delta_at(site).A)
    assert not torch.equal(whole.delta_at(site).A, whole.delta_at(Site(1, "q")).A)


@pytest.mark.parametrize(("value", "factor"), [(None, 4.0), (3.0, 3.0)])
def test_the_published_scale_stands_in_for_no_value_and_a_site_s_own_multiplies(
    recipe: Made, family: Made, value: float | None, factor: float
) -> None:
    cells = {"0.q": {}, "1.q": {"scale": 0.5}}
    run = resolved(recipe, "lora", cells=cells, **{"peft.scale": 4.0, "scaling.value": value})
    gamma = cell_of(run, family("plain")).gamma
    assert gamma.multiplier.tolist() == [factor, factor / 2]


def test_a_part_without_a_scale_has_a_delta_and_no_gamma(recipe: Made, family: Made) -> None:
    run = resolved(recipe, "gated_prompt")
    cell = cell_of(run, family("plain"))
    assert cell.gamma.sites == [Site(0, "tokens")]
    assert {Site(1, "tokens"), Site(0, "kv"), Site(1, "kv")} <= set(cell.sites)


def test_selected_weights_and_deltas_of_one_method_live_in_one_cell(recipe: Made, family: Made) -> None:
    config = recipe("hlpt", **{"peft.parts.prefix.depth": "all"})
    config["peft"]["parts"]["prefix"] = recipe("bitfit")["peft"]
    config["peft"]["parts"]["lora"]["depth"] = "all"
    cell = cell_of(resolve(config), family("plain"))
    kinds = cell.theta_by_kind()
    assert kinds["selected"]
    assert cell.sites == [Site(0, "mlp2"), Site(1, "mlp2")]


def test_a_part_that_the_backbone_has_no_place_for_is_refused_with_the_reason(
    recipe: Made, family: Made
) -> None:
    run = resolve(recipe("vpt_deep") | {"backbone": {**recipe("lora")["backbone"], "depth": None}})
    with pytest.raises(
        UserError, match=r"^peft: prompt acts at tokens, which .* lacks: its attention reads windows"
    ):
        place_on(run, family("swin"))


def test_a_rule_that_looks_at_images_needs_some(recipe: Made, family: Made) -> None:
    run = resolved(recipe, "lora")
    run = replace(run, placement=resolve(recipe("lora", placement=SENSITIVITY)).placement)
    with pytest.raises(
        UserError, match=r"^placement=sensitivity chooses sites by what a run measures at its start"
    ):
        place_on(run, family("plain"))


SENSITIVITY = {
    "_target_": "peftlab.placement.sensitivity.sensitivity", "budget": None, "tower": "both", "keep": 2, "depth": "all",
    "position": "all", "by": "sum", "num_samples": 4, "batch_size": 2,
}  # fmt: skip


def test_what_a_rule_thought_comes_back_with_its_sites(recipe: Made, family: Made, scorer_of: Made) -> None:
    backbone = family("plain")
    run = resolve(recipe("lora", placement=SENSITIVITY))
    placed = place_on(run, backbone, scorer_of(backbone, nn.Linear(16, 3)))
    assert len(placed.sites) == 2
    assert len(placed.scores) == 12
    best = sorted(placed.scores, key=lambda site: -placed.scores[site])[:2]
    assert placed.sites == set(best)


def test_only_a_supernet_samples(recipe: Made, family: Made) -> None:
    rng = torch.Generator().manual_seed(0)
    assert cell_of(resolved(recipe, "lora"), family("plain")).sample(rng) == {}
    dylora = cell_of(resolved(recipe, "dylora", cells={"0.q": {}}), family("plain"))
    assert set(dylora.sample(rng)) == {Site(0, "q")}
