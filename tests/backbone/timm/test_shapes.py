"""A backbone without numbers has the shapes and the table of the one with numbers."""

from collections.abc import Callable
from typing import Any

import pytest

from peftlab.backbone.timm.shapes import shapes
from peftlab.config.resolve import choice
from peftlab.errors import UserError


def test_it_is_the_backbone_but_for_the_numbers(composed: Callable[..., dict[str, Any]]) -> None:
    node = composed("backbone=tiny")["backbone"]
    empty, real = shapes(choice(node).options), choice(node)()
    assert all(value.is_meta and not value.requires_grad for value in empty.model.parameters())
    own = {name: value.shape for name, value in empty.model.named_parameters()}
    assert own == {name: value.shape for name, value in real.model.named_parameters()}
    for key in (
        "name",
        "blocks",
        "labels",
        "num_prefix_tokens",
        "places",
        "outside",
        "num_features",
        "refused",
    ):
        assert getattr(empty, key) == getattr(real, key), key
    assert empty.input_spec == real.input_spec


def test_nothing_is_downloaded(
    composed: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    node = composed("backbone=vit_base_patch14_dinov2.lvd142m")["backbone"]
    assert node["pretrained"]
    assert shapes(node).depth == 12


def test_an_architecture_without_a_table_is_refused(composed: Callable[..., dict[str, Any]]) -> None:
    node = composed("backbone=tiny")["backbone"]
    with pytest.raises(UserError, match=r"^backbone\.name=resnet18 "):
        shapes({**node, "name": "resnet18", "model_args": {}})
