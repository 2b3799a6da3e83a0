"""Somebody's own timm network as a backbone: used as it is, without its classifier."""

from typing import Any

import pytest
import timm
import torch
from torch import nn

from peftlab.backbone.timm.own import own_backbone
from peftlab.errors import UserError
from peftlab.site import Site

SMALL: dict[str, Any] = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 16, "num_heads": 2}
NAME = "vit_tiny_patch16_224"


def network(num_classes: int = 5, **args: Any) -> nn.Module:
    return timm.create_model(NAME, num_classes=num_classes, **SMALL, **args)


@pytest.mark.parametrize("num_classes", [0, 5])
def test_the_features_are_those_before_the_classifier(num_classes: int) -> None:
    model = network(num_classes).eval()
    backbone = own_backbone(model)
    x = torch.randn(2, 3, 32, 32)
    features = backbone.features({"images": x})
    assert features.shape == (2, 16)
    assert torch.equal(features, model.forward_head(model.forward_features(x), pre_logits=True))
    if num_classes:
        assert torch.equal(model.head(features), model(x))


def test_nothing_of_it_is_copied_and_it_is_frozen_in_the_mode_that_it_is_in() -> None:
    model = network().train()
    backbone = own_backbone(model)
    assert backbone.model is model
    assert model.training
    assert not any(value.requires_grad for value in model.parameters())
    assert Site(1, "q") in backbone.places
    assert backbone.labels == ("0", "1")
    assert backbone.input_spec.size == 32
    assert backbone.name == NAME


def test_the_classifier_is_no_weight_that_could_be_selected() -> None:
    with_one, without = own_backbone(network(5)), own_backbone(network(0))
    assert with_one.outside == without.outside
    assert not any(name.startswith("head") for name in with_one.outside)
    assert "norm.bias" in with_one.outside


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.Sequential()])
def test_what_is_no_timm_network_is_refused(model: nn.Module) -> None:
    with pytest.raises(
        UserError,
        match=rf"^model={type(model).__name__} is not a network of timm\.create_model, and none of transformers; legal",
    ):
        own_backbone(model)
