"""A plain timm model and its classifier."""

import pytest
import torch

from peftlab.backbone.timm.plain import classifiers, plain_model

SMALL = {"depth": 1, "embed_dim": 16, "num_heads": 2, "img_size": 32, "patch_size": 16}


@pytest.mark.parametrize(
    ("name", "names"),
    [("vit_tiny_patch16_224", ["head"]), ("deit_tiny_distilled_patch16_224", ["head", "head_dist"])],
)
def test_classifiers(name, names):
    node = {"name": name, "model_args": SMALL}
    model = plain_model(node, 7)
    assert classifiers(model) == names
    assert {model.get_submodule(key).out_features for key in names} == {7}
    assert not model.training
    assert classifiers(plain_model(node, 0)) == []


def test_no_global_draw_is_spent():
    before = torch.random.get_rng_state()
    plain_model({"name": "vit_tiny_patch16_224", "model_args": SMALL}, 2)
    assert torch.equal(before, torch.random.get_rng_state())
