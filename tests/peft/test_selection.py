"""What every method that selects weights keeps, asked on a small backbone."""

from collections import Counter

import pytest
import torch
from torch import nn

from peftlab.build.cell import place_on
from peftlab.build.selection import choose
from peftlab.build.start import Start
from peftlab.config.directory import config_dir
from peftlab.config.resolve import resolve
from peftlab.option import Choice
from peftlab.peft.mask.mask import Mask
from peftlab.peft.selection import Selection

# the YAMLs of the group; a selection stands in none of its hybrids
SELECTIVE = [
    path.stem
    for path in sorted((config_dir() / "peft").glob("*.yaml"))
    if "insertion: in_place" in path.read_text()
]
CELLS = {"0.q": {}, "0.v": {}, "0.out": {}, "1.mlp1": {}, "1.norm2": {}}


@pytest.fixture
def chosen(recipe, family, scorer_of):
    """`chosen("bitfit")`: what it selects at q, v and out of block 0 and in block 1, and of which backbone."""

    def make(method, **keys):
        backbone = family("plain")
        head = nn.Linear(backbone.num_features, 3, bias=False)
        positions = recipe(method)["peft"]["positions"]
        cells = {name: {} for name in CELLS if name.split(".")[1] in positions}
        keys |= {"peft.keep_ratio": 0.05} if method.startswith("mask") else {}
        run = resolve(recipe(method, cells=cells, **keys))
        (part,) = run.parts
        placed = place_on(run, backbone).parts["peft"]
        return choose(run, part, backbone, placed, Start(head, scorer_of(backbone, head))), placed, backbone

    return make


def test_the_methods_are_found():
    assert {"bitfit", "full", "layernorm", "mask_fisher", "mask_heads"} <= set(SELECTIVE)


@pytest.mark.parametrize("method", sorted(set(SELECTIVE) - {"linear_probe", "partial"}))
def test_it_selects_weights_of_its_sites_or_outside_the_blocks_each_once(chosen, method):
    found, cells, backbone = chosen(method)
    assert found
    values = dict(backbone.model.named_parameters())
    for weight, mask in found:
        assert torch.equal(weight.value, weight.of(values[weight.name]))
        assert weight.site in cells if weight.site is not None else weight.name in backbone.outside
        if mask is not None:
            assert (mask.dtype, mask.shape) == (torch.bool, weight.value.shape)
    assert set(Counter((weight.name, weight.slice) for weight, _ in found).values()) == {1}


@pytest.mark.parametrize("method", sorted(set(SELECTIVE) - {"linear_probe", "partial"}))
def test_a_mask_has_single_entries_and_all_else_whole_weights(chosen, recipe, method):
    kind = Choice(recipe(method)["peft"]["_target_"], {}).function
    assert issubclass(kind, Selection)
    assert all((mask is not None) == issubclass(kind, Mask) for _, mask in chosen(method)[0])


def test_what_sets_how_many_is_an_option_of_a_mask_alone(recipe):
    for method in SELECTIVE:
        node = recipe(method)["peft"]
        kind = Choice(node["_target_"], {}).function
        assert kind.width_key == ("keep_ratio" if issubclass(kind, Mask) else None)
        assert kind.width_key is None or kind.width_key in node


def test_the_interface_alone_is_no_method():
    for kind in (Selection, Mask):
        with pytest.raises(TypeError, match="abstract"):
            kind()
