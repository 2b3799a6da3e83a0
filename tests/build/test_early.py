"""A method that cannot work on a backbone is refused before weights are read and data are opened."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from peftlab.build import early, experiment, trunk
from peftlab.build.early import check_method
from peftlab.build.experiment import build
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.option import Choice

Change = Callable[..., dict[str, Any]]
TINY = {"backbone": "tiny"}


@pytest.mark.parametrize(
    ("values", "chosen", "words"),
    [
        ({}, {"peft": "vpt_deep", "backbone": "swin_tiny_patch4_window7_224.ms_in1k"}, "prompt acts at tokens, which swin"),
        ({"backbone.depth": 3}, TINY, "backbone.depth=3, but vit_tiny_patch16_224 has 2 blocks"),
        ({"backbone.model_args.colour": 3}, TINY, "backbone.model_args={"),
        ({"peft.rank": 65}, {**TINY, "peft": "dora"}, "peft.rank=65 at 0.q is above"),
        ({"peft.rank": 65}, TINY, "peft.rank=65 at 0.q is above what its 16 and 16 features have; legal: 1 to 16"),
        ({"placement.budget": 3}, TINY, "placement.budget=3"),
    ],
)  # fmt: skip
def test_refused_on_shapes(
    change: Change,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, Any],
    chosen: dict[str, str],
    words: str,
) -> None:
    resolved = resolve(change(values, **chosen))
    monkeypatch.setattr(experiment, "open_trunk", lambda _: pytest.fail("weights or data were read"))
    monkeypatch.setitem(trunk._shared, "backbone", {})
    with pytest.raises(UserError) as refused:
        build(resolved)
    assert words in str(refused.value)


def test_what_works_passes_and_what_images_choose_is_left_to_them(change: Change) -> None:
    for peft in ("lora", "noah", "bitfit", "mask_heads", "vera", "prefix"):
        check_method(resolve(change(**TINY, peft=peft)))
    check_method(resolve(change({"placement.keep": 3}, **TINY, placement="sensitivity")))


def test_a_backbone_of_one_s_own_is_not_asked(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "shapes_of", lambda _: pytest.fail("asked"))
    resolved = resolve(change(**TINY))
    check_method(replace(resolved, backbone=Choice("own.net.make", resolved.backbone.options)))
