"""Which weights a selective part trains: by its rule, within a budget, or as they were chosen before."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from peftlab.build.cell import place_on
from peftlab.build.selection import choose
from peftlab.build.start import Start
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.peft.weights import Chosen

Made = Callable[..., Any]


def chosen(recipe: Made, backbone: Any, method: str, start: Start | None = None, **more: Any) -> Chosen:
    run = resolve(recipe(method, **more))
    (part,) = run.parts
    placed = place_on(run, backbone)
    head = nn.Linear(backbone.num_features, 3)
    return choose(run, part, backbone, placed.parts["peft"], start or Start(head))


def test_biases_of_the_placed_sites_each_once(recipe: Made, family: Made) -> None:
    """q, k and v are slices of one bias; attn holds them all again, and is no other weight."""
    found = chosen(recipe, family("plain"), "bitfit", cells={"0.q": {}, "0.v": {}, "1.mlp1": {}})
    names = {(weight.name, weight.slice) for weight, mask in found if weight.site is not None}
    assert names == {
        ("blocks.0.attn.qkv.bias", (0, 3)), ("blocks.0.attn.qkv.bias", (2, 3)), ("blocks.1.mlp.fc1.bias", (0, 1)),
    }  # fmt: skip
    assert all(mask is None for _, mask in found)
    assert {weight.name for weight, _ in found if weight.site is None} <= set(family("plain").outside)
    values = dict(family("plain").model.named_parameters())
    for weight, _ in found:
        assert torch.equal(weight.value, weight.of(values[weight.name]))


def test_a_budget_sets_the_size_of_a_mask(recipe: Made, family: Made) -> None:
    more = {"placement.budget": 777}
    found = chosen(recipe, family("plain"), "mask_random", **more)
    assert sum(int(mask.sum()) for _, mask in found if mask is not None) == 777


def test_saved_masks_come_back_without_a_training_image(recipe: Made, family: Made) -> None:
    """mask_fisher would measure; with `indices` it does not."""
    backbone, head = family("plain"), nn.Linear(16, 3)
    index = torch.tensor([0, 5, 17])
    start = Start(head, None, {"blocks_0_attn_qkv_weight_part1": index})
    ((weight, mask),) = chosen(recipe, backbone, "mask_fisher", start)
    assert (weight.name, weight.slice) == ("blocks.0.attn.qkv.weight", (1, 3))
    assert mask is not None
    assert mask.shape == weight.value.shape
    assert mask.flatten().nonzero().flatten().tolist() == index.tolist()
    with pytest.raises(
        UserError, match=r"^peft: this method scores weights on training items, and there are none"
    ):
        chosen(recipe, backbone, "mask_fisher", **{"peft.keep_ratio": 0.2})


@pytest.mark.parametrize("index", [[-1], [0, 256]])
def test_a_saved_mask_of_other_weights_is_refused(recipe: Made, family: Made, index: list[int]) -> None:
    start = Start(nn.Linear(16, 3), None, {"blocks_0_attn_qkv_weight_part1": torch.tensor(index)})
    with pytest.raises(
        UserError,
        match=r"^the saved mask of blocks\.0\.attn\.qkv\.weight does not fit the 256 entries that it has",
    ):
        chosen(recipe, family("plain"), "mask_random", start)
