"""What is said of model_args before timm is imported."""

from typing import Any

import pytest

from peftlab.backbone.timm.arguments import check_arguments
from peftlab.errors import UserError

NAME = "vit_tiny_patch16_224"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"img_size": 33, "patch_size": 8},
            "img_size=33 is no multiple of the patch size 8; legal: 32, 40, ...",
        ),
        ({"img_size": 33}, "img_size=33 is no multiple of the patch size 16; legal: 32, 48, ..."),
        ({"img_size": 3}, "img_size=3 is no multiple of the patch size 16; legal: 16, 32, ..."),
        ({"img_size": 0}, "img_size=0 is not legal; legal: a whole number from 1 to 4096"),
        ({"img_size": 1e9}, "img_size=1000000000.0 is not legal; legal: a whole"),
        ({"img_size": 10**9}, "img_size=1000000000 is not legal; legal: a whole"),
        ({"img_size": [32, 64]}, "img_size=[32, 64] is not a square"),
        ({"img_size": 4096, "patch_size": 2}, "img_size=4096 makes 4194304 patches; legal: at most 65536"),
        ({"patch_size": 0}, "patch_size=0 is not legal; legal: a whole number from 1 to 512"),
        ({"embed_dim": 0}, "embed_dim=0 is not legal; legal: a whole number from 1 to 16384"),
        ({"embed_dim": 10**9}, "embed_dim=1000000000 is not legal"),
        ({"embed_dim": "wide"}, "embed_dim=wide is not legal"),
        (
            {"embed_dim": 16, "num_heads": 3},
            "num_heads=3 does not divide embed_dim=16; legal: 1, 2, 4, 8, 16",
        ),
        ({"depth": 10**9}, "depth=1000000000 is not legal; legal: a whole number from 1 to 1000"),
        ({"depths": [2, -1]}, "depths=[2, -1] is not legal"),
        ({"in_chans": 1}, "in_chans=1 does not fit pictures, which have three channels; legal: 3"),
        ({"num_classes": 5}, "num_classes=5 is not an argument to give"),
        (
            {"checkpoint_path": "/x"},
            "checkpoint_path=/x is not an argument to give; legal instead: backbone.checkpoint",
        ),
        ({"pretrained_cfg": {"file": "x"}}, "pretrained_cfg={'file': 'x'} is not an argument to give"),
    ],
)
def test_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        check_arguments(NAME, given)
    assert str(error.value).startswith(f"backbone.model_args.{words}")


def test_legal() -> None:
    check_arguments(NAME, {"img_size": 384, "drop_path_rate": 0.1})
    check_arguments(
        NAME, {"img_size": [32, 32], "patch_size": 8, "depth": 2, "embed_dim": 16, "num_heads": 2}
    )
    check_arguments("swin_tiny_patch4_window7_224", {"depths": [1, 1], "num_heads": [1, 2], "window_size": 4})
    check_arguments(NAME, {"img_size": 33, "dynamic_img_pad": True})
