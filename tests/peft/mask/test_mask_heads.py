"""Which rows and columns are a head, in every family, and which heads a budget holds."""

import pytest
import torch

from peftlab.build.scorer import Scorer
from peftlab.errors import UserError
from peftlab.peft.mask.mask_heads import MaskHeads
from peftlab.peft.weights import Weight
from peftlab.site import Site

OPTIONS = {"num_samples": 4, "score": "fisher", "count_head": False}
POSITIONS = ("q", "k", "v", "out")
ONE_HEAD = 536  # of the plain family: 3 * (8 * 16 + 8) + 16 * 8


def config_of(recipe, num_entries, backbone, **keys):
    total = sum(value.numel() for value in backbone.model.parameters())
    ratio = (num_entries + 0.5) / total
    return recipe("mask_heads", **{"peft.keep_ratio": ratio, "peft.count_head": False, **keys})


def masks_of(backbone, model):
    """The masks of the selected weights by site and number of axes, and with the parameter's name."""
    found = {}
    for site, place in backbone.places.items():
        for name, part in place.parameters:
            key = name.replace(".", "_") + ("" if part[1] == 1 else f"_part{part[0]}")
            if key in model.cell.selected.indices():
                shape = dict(backbone.model.named_parameters())[name].chunk(part[1])[0].shape
                mask = torch.zeros(shape, dtype=torch.bool)
                mask.view(-1)[model.cell.selected.indices()[key]] = True
                found[site, len(shape)] = mask
    return found


def test_the_best_head_by_hand(recipe, family, adapt, monkeypatch):
    """Entry by entry, from the gradients of every image."""
    gradients, scored = [], Scorer.gradients

    def noting(self, num):
        gradients.extend(scored(self, num))
        return iter(gradients)

    monkeypatch.setattr(Scorer, "gradients", noting)
    backbone = family("plain")
    model, _ = adapt(config_of(recipe, ONE_HEAD, backbone), backbone)
    means = {}
    for block in range(2):
        fisher = {name: sum(gradient[f"blocks.{block}.attn.{name}"].square() for gradient in gradients)
                  for name in ("qkv.weight", "qkv.bias", "proj.weight")}  # fmt: skip
        for head in range(2):
            rows = [third * 16 + head * 8 + row for third in range(3) for row in range(8)]
            columns = [head * 8 + column for column in range(8)]
            parts = fisher["qkv.weight"][rows], fisher["qkv.bias"][rows], fisher["proj.weight"][:, columns]
            entries = torch.cat([part.flatten() for part in parts])
            assert len(entries) == ONE_HEAD
            means[block, head] = entries.mean().item()
    block, head = max(means, key=lambda key: means[key])
    assert len(gradients) == 6
    assert model.num_parameters()["selected"] == ONE_HEAD
    masks = masks_of(backbone, model)
    expected = torch.zeros(16, dtype=torch.bool)
    expected[head * 8 : head * 8 + 8] = True
    keys = {(Site(block, name), axes) for name in "qkv" for axes in (1, 2)} | {(Site(block, "out"), 2)}
    assert masks.keys() == keys
    for (site, axes), mask in masks.items():
        rows = expected if axes == 1 else expected[:, None].expand(16, 16)
        assert torch.equal(mask, rows.T if site.position == "out" else rows), site


SIZES = {"plain": 600, "dinov2": 600, "eva02": 600, "swin": 270, "bert": 600, "gpt2": 300, "llama": 400}


@pytest.mark.parametrize(("name", "num"), SIZES.items())
def test_the_rows_of_a_head_write_what_its_columns_read(recipe, family, adapt, inputs_of, name, num):
    """Another value of the selected rows changes the selected columns of what the projection reads, and no others."""
    backbone = family(name)
    config = config_of(recipe, num, backbone)
    model, _ = adapt(config, backbone)
    masks, modules = masks_of(backbone, model), dict(backbone.model.named_modules())
    blocks = {site.block for site, _ in masks}
    assert blocks
    for block in blocks:
        weight = masks[Site(block, "out"), 2]
        columns = weight.any(0)
        assert columns.any()
        assert not columns.all()
        assert torch.equal(weight, columns.expand_as(weight))
        found = changed(backbone, inputs_of(backbone, 2), modules, masks, block)
        assert found == columns.nonzero().flatten().tolist()


def changed(backbone, inputs, modules, masks, block):
    """Which channels of what `out` reads differ once the selected entries of q, k and v are others."""
    seen = []
    module = modules[backbone.place(Site(block, "out")).input.module]
    handle = module.register_forward_hook(lambda module, args, output: seen.append(args[0].detach().clone()))
    values = dict(backbone.model.named_parameters())
    before = {key: value.clone() for key, value in values.items()}
    with torch.no_grad():
        backbone.features(inputs)
        for position in "qkv":
            for key, part in backbone.place(Site(block, position)).parameters:
                piece = values[key].chunk(part[1])[part[0]]
                piece.add_(0.5 * masks[Site(block, position), piece.dim()])
        backbone.features(inputs)
        for key, value in values.items():
            value.copy_(before[key])
    handle.remove()
    return (seen[0] != seen[1]).flatten(0, -2).any(0).nonzero().flatten().tolist()


@pytest.mark.parametrize("name", ["plain", "dinov2", "eva02", "swin"])
def test_whole_heads_fill_the_budget_and_never_exceed_it(recipe, family, adapt, name):
    backbone = family(name)
    config = config_of(recipe, 1200, backbone)
    model, _ = adapt(config, backbone)
    sizes = {}
    for site, place in backbone.places.items():
        if site.position in POSITIONS:
            values = dict(backbone.model.named_parameters())
            own = [(values[key].numel() // part[1], values[key].dim()) for key, part in place.parameters]
            total = sum(numel for numel, axes in own if site.position != "out" or axes == 2)
            sizes[site.block] = sizes.get(site.block, 0) + total
    heads = {"swin": {0: 2, 1: 4}}.get(name, {0: 2, 1: 2})
    sizes = {block: size // heads[block] for block, size in sizes.items()}
    masks = masks_of(backbone, model)
    taken = {}
    for site, axes in masks:
        if (site.position, axes) == ("out", 2):
            width = masks[site, axes].shape[1] // heads[site.block]
            taken[site.block] = int(masks[site, axes].any(0).sum()) // width
    total = sum(sizes[block] * count for block, count in taken.items())
    assert model.num_parameters()["selected"] == total <= 1200
    left = [sizes[block] for block in sizes if taken.get(block, 0) < heads[block]]
    assert all(total + size > 1200 for size in left)


def test_the_placement_restricts_what_belongs_to_a_head(recipe, family, adapt):
    backbone = family("plain")
    config = config_of(recipe, 200, backbone, **{"placement.position": "q", "placement.depth": 1})
    model, _ = adapt(config, backbone)
    assert masks_of(backbone, model).keys() == {(Site(1, "q"), 1), (Site(1, "q"), 2)}
    assert model.num_parameters()["selected"] == 8 * 16 + 8


def vit_base_block(vit_base, positions):
    values = dict(vit_base.model.named_parameters())
    found = []
    for position in positions:
        for name, part in vit_base.place(Site(0, position)).parameters:
            value = torch.zeros(values[name].chunk(part[1])[0].shape)
            found.append(Weight(name, part, value, Site(0, position)))
    return found


def test_a_head_of_vit_base(vit_base, hand_made):
    """196,800 entries: methods.md 2.10. With equal scores, the first head."""
    inside = vit_base_block(vit_base, POSITIONS)
    names = {weight.name for weight in inside}
    gradient = {name: torch.ones(dict(vit_base.model.named_parameters())[name].shape) for name in names}
    weights = hand_made(inside, [gradient], num_heads={0: 12}, num_backbone=1_000_000)
    chosen = MaskHeads(keep_ratio=0.1968, **OPTIONS).choose(weights)
    assert sum(int(mask.sum()) for _, mask in chosen) == 196_800
    assert all(
        mask[:64].all() and not mask[64:].any() for weight, mask in chosen if weight.site.position in "qkv"
    )
    with pytest.raises(UserError, match=r"the smallest mask has 196800; legal: 0\.197 or above"):
        MaskHeads(keep_ratio=0.196799, **OPTIONS).choose(weights)


def test_the_score_is_an_option(hand_made):
    """Head 0 has two gradients of 2, head 1 one of 3: sum |g| 4 > 3, sum g^2 8 < 9."""
    weights = hand_made(
        [Weight("q", (0, 1), torch.zeros(2), Site(0, "q"))],
        [{"q": torch.tensor([2.0, 3.0])}, {"q": torch.tensor([2.0, 0.0])}],
        num_heads={0: 2},
    )
    for score, expected in (("fisher", [False, True]), ("magnitude", [True, False])):
        ((_, mask),) = MaskHeads(keep_ratio=0.5, **{**OPTIONS, "score": score}).choose(weights)
        assert mask.tolist() == expected


def test_blocks_whose_heads_are_unknown(hand_made):
    weights = hand_made([Weight("q", (0, 1), torch.zeros(2), Site(0, "q"))], num_heads={1: 2})
    with pytest.raises(UserError, match=r"mask_heads does not know the heads of 0\.q"):
        MaskHeads(keep_ratio=0.5, **OPTIONS).choose(weights)
