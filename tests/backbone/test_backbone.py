"""A frozen network and its table, whoever built it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from peftlab.errors import UserError
from peftlab.site import Site

Family = Callable[[str], Any]


def images(backbone: Any, num: int = 2) -> Tensor:
    size = backbone.input_spec.size
    return torch.randn(num, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_features_are_what_the_network_gives(family: Family) -> None:
    backbone = family("plain")
    x = images(backbone)
    features = backbone.features({"images": x})
    assert features.shape == (2, backbone.num_features)
    assert torch.equal(features, backbone.model(x))
    assert torch.equal(backbone.features({"images": x}, {}), features)


def test_other_weights_take_the_place_of_its_own_for_one_call(family: Family) -> None:
    backbone = family("plain")
    x, name = images(backbone), "blocks.0.mlp.fc1.bias"
    own = dict(backbone.model.named_parameters())[name]
    kept, plain = own.clone(), backbone.features({"images": x})
    changed = (own + 1.0).requires_grad_()
    features = backbone.features({"images": x}, {name: changed})
    assert not torch.equal(features, plain)
    features.sum().backward()
    assert changed.grad is not None
    assert changed.grad.any()
    assert torch.equal(own, kept)
    assert torch.equal(backbone.features({"images": x}), plain)


def test_another_way_to_read_the_network(family: Family) -> None:
    """With inputs of other names, and other weights too."""

    def double(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        result: Tensor = 2 * model(inputs["pixels"])
        return result

    backbone = replace(family("plain"), read=double)
    x = images(backbone)
    assert torch.equal(backbone.features({"pixels": x}), 2 * backbone.model(x))
    name = "norm.bias"
    weights = {name: torch.zeros(backbone.num_features)}
    assert torch.equal(
        backbone.features({"pixels": x}, weights), 2 * family("plain").features({"images": x}, weights)
    )


def test_its_numbers(family: Family) -> None:
    plain, swin = family("plain"), family("swin")
    assert plain.depth == len(plain.labels) == 2
    assert [plain.num_heads(block) for block in range(2)] == [2, 2]
    assert plain.num_weights == sum(value.numel() for value in plain.model.parameters())
    assert plain.positions == (
        "q",
        "k",
        "v",
        "out",
        "mlp1",
        "mlp2",
        "attn",
        "ffn",
        "kv",
        "tokens",
        "norm1",
        "norm2",
    )
    assert "tokens" not in swin.positions
    assert [swin.num_heads(block) for block in range(2)] == [2, 4]
    other = {site: place for site, place in plain.places.items() if site.position != "kv"}
    assert replace(plain, places=other).num_heads(0) == 1, "an attention of a kind of its own"


def test_a_place_that_it_lacks_is_refused_with_the_reason_or_the_legal_ones(family: Family) -> None:
    plain, swin = family("plain"), family("swin")
    assert plain.place(Site(1, "q")) == plain.places[Site(1, "q")]
    with pytest.raises(
        UserError, match=r"^placement: .* has no place 0\.gate; legal in block 0: attn, ffn, k, kv, mlp1"
    ):
        plain.place(Site(0, "gate"))
    with pytest.raises(
        UserError, match=r"^placement: .* has no tokens: its attention reads windows of patches"
    ):
        swin.place(Site(0, "tokens"))
