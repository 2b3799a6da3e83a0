"""What the forms of a part are told about their sites."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from peftlab.build.views import options_at, ports_at, shared_of, view_of
from peftlab.config.resolve import parts_of
from peftlab.errors import UserError
from peftlab.option import Choice
from peftlab.peft.delta import Additive, Sharing
from peftlab.peft.part import Part
from peftlab.peft.view import EVAL, Now, View
from peftlab.site import Site
from peftlab.stream import generator

Made = Callable[..., Any]


def part_of(recipe: Made, method: str = "lora", **changes: Any) -> Part:
    (part,) = parts_of(recipe(method)["peft"])
    return replace(part, **changes)


def test_a_third_of_a_fused_layer_is_its_own_rows(recipe: Made, family: Made) -> None:
    backbone = family("plain")
    whole = backbone.model.blocks[1].attn.qkv.weight
    for index, name in enumerate("qkv"):
        view = view_of(part_of(recipe), backbone, Site(1, name))
        assert (view.num_in, view.num_out, view.num_heads) == (16, 16, 2)
        assert view.weight is not None
        assert torch.equal(view.weight, whole[16 * index : 16 * (index + 1)])
        assert not view.weight.requires_grad
        assert view.shared is None


def test_a_layer_of_its_own_is_whole(recipe: Made, family: Made) -> None:
    backbone = family("plain")
    block = backbone.model.blocks[0]
    for name, layer in (("out", block.attn.proj), ("mlp1", block.mlp.fc1), ("mlp2", block.mlp.fc2)):
        view = view_of(part_of(recipe), backbone, Site(0, name))
        assert view.weight is not None
        assert torch.equal(view.weight, layer.weight)
        assert (view.num_out, view.num_in) == tuple(layer.weight.shape)


@pytest.mark.parametrize(
    ("method", "name"),
    [("adapter_parallel", "ffn"), ("prefix", "kv"), ("vpt_deep", "tokens"), ("ssf", "norm1")],
)
def test_where_no_single_linear_layer_is_written_there_is_no_weight(
    recipe: Made, family: Made, method: str, name: str
) -> None:
    assert view_of(part_of(recipe, method), family("plain"), Site(0, name)).weight is None


def test_what_is_added_to_an_input_acts_on_no_layer_s_output(recipe: Made, family: Made) -> None:
    part = part_of(recipe, insertion="input")
    view = view_of(part, family("plain"), Site(0, "mlp2"))
    assert (view.num_in, view.num_out, view.weight) == (64, 64, None)
    assert ports_at(part, family("plain"), Site(0, "mlp2")).writes.side == "in"


def test_sequential_reads_what_is_written(recipe: Made, family: Made) -> None:
    part = part_of(recipe, insertion="sequential")
    ports = ports_at(part, family("plain"), Site(0, "mlp1"))
    assert ports.reads == ports.writes
    view = view_of(part, family("plain"), Site(0, "mlp1"))
    assert (view.num_in, view.num_out) == (64, 64)


@pytest.mark.parametrize("name", ["plain", "dinov2", "clip", "average", "eva02", "swin"])
def test_every_place_of_every_family_can_be_viewed(recipe: Made, family: Made, name: str) -> None:
    """And where a linear layer is written, its rows are as many as the outputs."""
    backbone = family(name)
    num_weights = 0
    for site in backbone.places:
        view = view_of(part_of(recipe), backbone, site)
        if view.weight is not None:
            assert tuple(view.weight.shape) == (view.num_out, view.num_in)
            num_weights += 1
        assert view.num_heads == backbone.num_heads(site.block)
    assert num_weights >= 6 * backbone.depth


def test_a_place_without_a_residual_stream_is_refused(recipe: Made, family: Made) -> None:
    part = part_of(recipe, insertion="residual")
    with pytest.raises(
        UserError, match=r"^peft\.insertion=residual does not exist at 0\.q of .*; legal: parallel"
    ):
        view_of(part, family("plain"), Site(0, "q"))


def test_a_site_has_the_options_of_its_part_but_its_own_first_and_never_the_scale(recipe: Made) -> None:
    part = part_of(recipe)
    own = {"rank": 3, "scale": 0.5}
    assert options_at(part, own) == {**part.form.options, "rank": 3}
    assert own == {"rank": 3, "scale": 0.5}
    assert options_at(part, {}) == part.form.options
    assert options_at(part, {}) is not part.form.options


class Together(Additive, Sharing):
    """One random matrix of the whole part, and a number a site."""

    width_key: ClassVar[str | None] = "rank"

    def __init__(self, view: View, rng: torch.Generator, *, rank: int) -> None:
        super().__init__()
        self.width, self.b = rank, nn.Parameter(torch.zeros(()))

    def forward(self, read: Tensor, now: Now = EVAL) -> Tensor:
        return self.b * read

    @staticmethod
    def share(views: Sequence[View], rng: torch.Generator, *, width: int) -> nn.Module:
        module = nn.Linear(max(view.num_in for view in views), width)
        nn.init.normal_(module.weight, generator=rng)
        return module


SHARING = Choice(f"{__name__}.Together", {"rank": 4})
CELLS = {Site(0, "q"): {}, Site(0, "mlp2"): {"rank": 7, "scale": 2.0}, Site(1, "q"): {"rank": 2}}


def shared(part: Part, backbone: Any, cells: Any, seed: int = 0) -> nn.Linear:
    found = shared_of(part, backbone, cells, seed)
    assert isinstance(found, nn.Linear)
    return found


def test_a_shared_module_fits_the_widest_site(recipe: Made, family: Made) -> None:
    part = part_of(recipe, form=SHARING)
    assert shared(part, family("plain"), CELLS).weight.shape == (7, 64)
    assert shared(part, family("plain"), {Site(0, "q"): {}}).weight.shape == (4, 16)


def test_a_shared_module_is_drawn_from_the_stream_of_its_part(recipe: Made, family: Made) -> None:
    part = part_of(recipe, form=SHARING)
    weight = shared(part, family("plain"), CELLS).weight
    assert torch.equal(weight, shared(part, family("plain"), CELLS).weight)
    expected = torch.randn(7, 64, generator=generator(0, "delta", "shared", "peft"))
    assert torch.equal(weight, expected)
    assert not torch.equal(weight, shared(part, family("plain"), CELLS, seed=1).weight)
    other = replace(part, name="other")
    assert not torch.equal(weight, shared(other, family("plain"), CELLS).weight)


def test_a_form_that_shares_nothing_has_no_module_and_neither_has_a_part_without_sites(
    recipe: Made, family: Made
) -> None:
    assert shared_of(part_of(recipe), family("plain"), CELLS, 0) is None
    assert shared_of(part_of(recipe, form=SHARING), family("plain"), {}, 0) is None


def test_every_site_is_handed_the_module(recipe: Made, family: Made) -> None:
    part = part_of(recipe, form=SHARING)
    module = shared(part, family("plain"), CELLS)
    assert all(view_of(part, family("plain"), site, module).shared is module for site in CELLS)
