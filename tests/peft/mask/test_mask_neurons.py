"""Which rows and columns are a neuron, in plain and gated MLPs, and which neurons a budget holds."""

import pytest
import torch

from peftlab.errors import UserError
from peftlab.peft.mask.mask_neurons import MaskNeurons
from peftlab.peft.weights import Weight
from peftlab.site import Site

OPTIONS = {"num_samples": 4, "score": "fisher", "count_head": False}


def weight(name, shape, position, part=(0, 1), block=0):
    return Weight(name, part, torch.zeros(shape), Site(block, position))


@pytest.fixture
def plain(hand_made):
    """Two neurons between widths 1 and 1: sums of squares per neuron are 1 + 4 + 1 and 4 + 1 + 0, of 3 entries each."""
    inside = [
        weight("fc1.weight", (2, 1), "mlp1"),
        weight("fc1.bias", (2,), "mlp1"),
        weight("fc2.weight", (1, 2), "mlp2"),
        weight("fc2.bias", (1,), "mlp2"),
    ]
    gradient = {
        "fc1.weight": torch.tensor([[1.0], [-2.0]]),
        "fc1.bias": torch.tensor([2.0, 1.0]),
        "fc2.weight": torch.tensor([[1.0, 0.0]]),
        "fc2.bias": torch.tensor([100.0]),  # belongs to no neuron
    }
    return hand_made(inside, [gradient], num_backbone=10)


def entries(chosen):
    return {(item.name, item.slice): mask.tolist() for item, mask in chosen}


def test_the_best_neuron_by_hand(plain):
    chosen = entries(MaskNeurons(keep_ratio=0.3, **OPTIONS).choose(plain))
    assert chosen == {
        ("fc1.weight", (0, 1)): [[True], [False]],
        ("fc1.bias", (0, 1)): [True, False],
        ("fc2.weight", (0, 1)): [[True, False]],
    }


def test_a_budget_between_two_neurons_holds_one(plain):
    assert entries(MaskNeurons(keep_ratio=0.5, **OPTIONS).choose(plain)).keys() == {
        ("fc1.weight", (0, 1)),
        ("fc1.bias", (0, 1)),
        ("fc2.weight", (0, 1)),
    }
    both = MaskNeurons(keep_ratio=0.6, **OPTIONS).choose(plain)
    assert sum(int(mask.sum()) for _, mask in both) == 6
    with pytest.raises(
        UserError, match=r"a budget of 2 of 10 weights, and the smallest mask has 3; legal: 0\.3 or above"
    ):
        MaskNeurons(keep_ratio=0.2, **OPTIONS).choose(plain)
    with pytest.raises(
        UserError, match=r"a budget of 7 of 10 weights, and the placement holds 6; legal: 0\.6 or below"
    ):
        MaskNeurons(keep_ratio=0.7, **OPTIONS).choose(plain)


def test_a_packed_gate_has_the_rows_of_its_own_half(hand_made):
    """mlp1 is the second half of fc1 and gate the first; neuron 1 has the larger gradients in both."""
    inside = [weight("fc1.weight", (2, 1), "mlp1", (1, 2)), weight("fc1.weight", (2, 1), "gate", (0, 2))]
    gradient = {"fc1.weight": torch.tensor([[1.0], [2.0], [0.0], [1.0]])}
    chosen = MaskNeurons(keep_ratio=0.5, **OPTIONS).choose(hand_made(inside, [gradient]))
    rows = [[False], [True]]
    assert entries(chosen) == {("fc1.weight", (1, 2)): rows, ("fc1.weight", (0, 2)): rows}


@pytest.mark.parametrize("score", ["fisher", "magnitude"])
@pytest.mark.parametrize("name", ["plain", "eva02", "swin"])
def test_rows_and_columns_of_every_family_belong_together(recipe, family, adapt, name, score):
    backbone = family(name)
    config = recipe("mask_neurons", **{"peft.keep_ratio": 0.2, "peft.score": score})
    model, _ = adapt(config, backbone)
    values, indices = dict(backbone.model.named_parameters()), model.cell.selected.indices()
    total = 0
    for block in range(backbone.depth):
        sets = []
        for position in ("mlp1", "gate", "mlp2"):
            if position not in backbone.positions:
                continue
            for key, part in backbone.place(Site(block, position)).parameters:
                if position == "mlp2" and values[key].dim() == 1:
                    assert key.replace(".", "_") not in indices
                    continue
                mask = torch.zeros_like(values[key], dtype=torch.bool)
                index = indices[key.replace(".", "_") + ("" if part[1] == 1 else f"_part{part[0]}")]
                mask.view(-1)[index] = True
                along = mask.T if position == "mlp2" else mask
                along = along.view(len(along), -1)
                assert torch.equal(along, along[:, :1].expand_as(along))  # whole rows, whole columns
                sets.append(along[:, 0].nonzero().flatten().tolist())
                total += int(mask.sum())
        assert sets[0]
        assert all(other == sets[0] for other in sets)
        assert len(sets) == (5 if name == "eva02" else 3)
    assert model.num_parameters()["selected"] == total


def test_the_placement_restricts_what_belongs_to_a_neuron(recipe, family, adapt):
    backbone = family("plain")
    config = recipe("mask_neurons", cells={"1.mlp2": {}}, **{"peft.keep_ratio": 0.02})
    model, _ = adapt(config, backbone)
    assert model.cell.selected.indices().keys() == {"blocks_1_mlp_fc2_weight"}
    assert model.num_parameters()["selected"] % 16 == 0


def test_a_neuron_of_vit_base(vit_base, hand_made):
    """1,537 entries: methods.md 2.10."""
    values = dict(vit_base.model.named_parameters())
    inside = [
        Weight(name, part, torch.zeros(values[name].shape), Site(0, position))
        for position in ("mlp1", "mlp2")
        for name, part in vit_base.place(Site(0, position)).parameters
    ]
    gradient = {item.name: torch.ones(item.value.shape) for item in inside}
    gradient["blocks.0.mlp.fc2.weight"][:, 5] = 2.0
    weights = hand_made(inside, [gradient], num_backbone=1_000_000)
    chosen = MaskNeurons(keep_ratio=0.001537, **OPTIONS).choose(weights)
    assert sum(int(mask.sum()) for _, mask in chosen) == 1537
    assert all(mask[5].all() for item, mask in chosen if item.site.position == "mlp1")
    with pytest.raises(UserError, match="the smallest mask has 1537"):
        MaskNeurons(keep_ratio=0.001536, **OPTIONS).choose(weights)
