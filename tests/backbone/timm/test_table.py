"""Which table a model gets."""

import pytest

from peftlab.backbone.timm.table import timm_table
from peftlab.errors import UserError
from peftlab.placement.depth import block_labels


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("vit_tiny_patch16_224", "blocks.0"),
        ("eva02_tiny_patch14_224", "blocks.0"),
        ("beit_base_patch16_224", "blocks.0"),
        ("swin_tiny_patch4_window7_224", "layers.0.blocks.0"),
    ],
)
def test_by_the_modules_that_it_has(on_meta, name, first):
    assert timm_table(on_meta(name), name).blocks[0] == first


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("swinv2_tiny_window8_256", "not those of Swin v1"),
        ("hiera_tiny_224", "pool tokens"),
        ("resnet18", "no `bl"),
    ],
)
def test_or_none(on_meta, name, words):
    with pytest.raises(UserError, match=words):
        timm_table(on_meta(name), name)


def test_a_real_table_has_the_labels_that_its_depth_gives(small):
    for kind, depth in (("plain", 2), ("eva02", 2), ("swin", [1, 1]), ("swin_shifted", [2, 1])):
        table = small(kind).table
        assert table.depth == depth
        assert list(table.labels) == block_labels(depth)
