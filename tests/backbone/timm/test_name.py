"""timm's names read from timm's source: the same answer as timm, sooner."""

import pytest
import timm

from peftlab.backbone.timm.name import check_timm_name
from peftlab.errors import UserError

FAMILIES = ("vit_*", "deit*", "*dinov2*", "eva*", "beit*", "swin_*", "aimv2*")
VITS = [name for family in FAMILIES for name in timm.list_models(family)]


def test_every_vit_that_timm_can_build_is_a_name() -> None:
    assert len(VITS) > 100
    for name in VITS:
        check_timm_name(name)


def test_every_name_that_timm_has_weights_for_is_a_name() -> None:
    names = [name for family in FAMILIES for name in timm.list_models(family, pretrained=True)]
    tagged = [name for name in names if "." in name]
    assert any("quickgelu" in name for name in tagged)  # made in a loop: not in the source as they stand
    for name in tagged:
        check_timm_name(name)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("vit_smal_patch16_224", "vit_small_patch16_224"),
        ("vit_base_patch16", "vit_base_patch16"),
        ("deit_smal_patch16_224.fb_in1k", "deit_small_patch16_224"),
        ("vit_base_patch16_224_augreg", "vit_base_patch16_224"),
    ],
)
def test_a_misspelt_model_gets_the_nearest(name: str, near: str) -> None:
    with pytest.raises(
        UserError,
        match=rf"^backbone\.name={name} is not a timm model; legal: .*, near: .*{near}",
    ):
        check_timm_name(name)


@pytest.mark.parametrize(
    "name", ["", "zzz", "VIT_BASE_PATCH16_224", "timm/vit_base_patch16_224", "resnet50x"]
)
def test_what_is_nothing_like_a_model(name: str) -> None:
    with pytest.raises(UserError, match="is not a timm model"):
        check_timm_name(name)


def test_a_misspelt_tag_gets_the_legal_ones() -> None:
    with pytest.raises(
        UserError, match="vit_base_patch16_224 has no weights called augreg_in22k; legal: "
    ) as error:
        check_timm_name("vit_base_patch16_224.augreg_in22k")
    assert "augreg_in21k" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tag_of_another_model_is_not_a_tag_of_this_one() -> None:
    check_timm_name("vit_base_patch14_dinov2.lvd142m")
    with pytest.raises(UserError, match="has no weights called lvd142m"):
        check_timm_name("vit_base_patch16_224.lvd142m")
