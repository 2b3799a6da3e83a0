"""Stages of blocks: names, widths, what stands outside of them, and what windows refuse."""

import pytest

from peftlab.backbone.timm.swin import swin_table
from peftlab.errors import UserError
from peftlab.site import CROSS, OF_TWO_TOWERS, POSITIONS, SCAN, Site


def test_blocks_are_called_stage_dot_block(small):
    table = small("swin_shifted").table
    assert table.labels == ("0.0", "0.1", "1.0")
    assert table.blocks == ("layers.0.blocks.0", "layers.0.blocks.1", "layers.1.blocks.0")
    assert (table.depth, table.num_prefix_tokens) == ([2, 1], 0)


def test_a_site_is_the_linear_index_and_its_width_that_of_its_stage(small):
    places = small("swin_shifted").table.places
    positions = set(POSITIONS) - {"gate", "tokens", "xkv", "proj", *OF_TWO_TOWERS, *CROSS, *SCAN}
    assert set(places) == {Site(block, position) for block in range(3) for position in positions}
    widths = {position: [(8, 8), (8, 8), (16, 16)] for position in positions}
    widths |= {"mlp1": [(8, 32), (8, 32), (16, 64)], "mlp2": [(32, 8), (32, 8), (64, 16)]}
    for site, place in places.items():
        assert (place.num_in, place.num_out) == widths[site.position][site.block], site


def test_what_stands_between_stages_is_outside(small):
    outside = small("swin_shifted").table.outside
    assert {key.split(".")[0] for key in outside} == {"patch_embed", "layers", "norm"}
    between = {key.rpartition(".")[0] for key in outside if key.startswith("layers")}
    assert between == {"layers.1.downsample.norm", "layers.1.downsample.reduction"}


def test_a_stage_of_eleven_blocks(on_meta):
    table = swin_table(on_meta("swin_small_patch4_window7_224"), "swin_small")
    assert table.depth == [2, 2, 18, 2]
    assert table.labels[4:6] == ("2.0", "2.1")
    assert (table.labels[14], table.blocks[14]) == ("2.10", "layers.2.blocks.10")
    assert {site.block for site in table.places} == set(range(24))


def test_prompts_are_refused_with_the_reason(family):
    with pytest.raises(
        UserError, match=r"placement: swin_.* has no tokens: its attention reads windows of patches"
    ):
        family("swin").place(Site(0, "tokens"))
    assert "kv" in family("swin").positions


def test_features_are_pooled_and_as_wide_as_the_last_stage(family, small):
    backbone = family("swin")
    images = small("swin").images
    assert (backbone.num_features, backbone.input_spec.size) == (16, 32)
    features = backbone.model(images)
    last = backbone.model.forward_features(images)
    assert last.shape == (3, 4, 4, 16)
    assert features.allclose(last.mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize("name", ["swinv2_tiny_window8_256", "swinv2_base_window16_256"])
def test_version_2_is_refused_in_one_sentence(on_meta, name):
    with pytest.raises(
        UserError,
        match=rf"^backbone.name={name}: its blocks \(SwinTransformerV2Block\) are not those of Swin v1",
    ) as error:
        swin_table(on_meta(name), name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "swin_s3_tiny_224"])
def test_widths_are_those_that_timm_says(on_meta, name):
    model = on_meta(name)
    table = swin_table(model, name)
    for stage, info in enumerate(model.feature_info):
        blocks = [index for index, label in enumerate(table.labels) if label.startswith(f"{stage}.")]
        assert {table.places[Site(block, "ffn")].num_in for block in blocks} == {info["num_chs"]}
