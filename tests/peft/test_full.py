"""Everything, or everything of the chosen sites."""

import torch

from peftlab.peft.full import full


def test_names():
    assert full(["a", "b"], ["c"], outside_blocks=False) == ["a", "b"]
    assert full(["a", "b"], ["c"], outside_blocks=True) == ["a", "b", "c"]


def test_the_whole_backbone_is_trained(recipe, vit_base, adapt):
    model, _ = adapt(recipe("full"), vit_base)
    assert model.num_parameters()["selected"] == sum(value.numel() for value in vit_base.model.parameters())


def test_a_part_of_it(recipe, vit_base, adapt):
    config = recipe("full", cells={"3.v": {}, "3.mlp2": {}}, **{"peft.outside_blocks": False})
    model, _ = adapt(config, vit_base)
    assert model.num_parameters()["selected"] == 768 * 769 + 768 * 3073


def test_every_weight_of_every_family_is_reached(recipe, family, adapt):
    """LayerScale, the norms of q and k, register tokens, the norm before the blocks."""
    for name in ("plain", "dinov2", "clip", "average"):
        backbone = family(name)
        model, _ = adapt(recipe("full"), backbone)
        weights = model.selected.weights()
        assert weights.keys() == dict(backbone.model.named_parameters()).keys()
        assert all(torch.equal(weights[key], value) for key, value in backbone.model.named_parameters())
