"""Small random networks of every kind of block that has a table of places."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pytest
import timm
import torch
from torch import Tensor, nn

from peftlab.backbone.table import Table
from peftlab.backbone.timm.table import timm_table

SMALL = {"depth": 2, "embed_dim": 16, "num_heads": 2, "img_size": 32, "patch_size": 8}
NO_PATCH = {key: value for key, value in SMALL.items() if key not in ("patch_size", "img_size")}
SWIN = {"img_size": 32, "window_size": 4, "embed_dim": 8, "num_heads": (2, 4)}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("vit_tiny_patch16_224", SMALL),
    "dinov2": ("vit_small_patch14_reg4_dinov2", {**SMALL, "qk_norm": True}),
    "packed": ("vit_giant_patch14_dinov2", {**SMALL, "mlp_ratio": 4}),
    "siglip": ("vit_base_patch16_siglip_224", SMALL),
    "distilled": ("deit_tiny_distilled_patch16_224", SMALL),
    "differential": ("vit_dwee_patch16_reg1_gap_256", SMALL),
    "aimv2": ("aimv2_large_patch14_224", SMALL),
    "naflex": ("naflexvit_base_patch16_gap", {**NO_PATCH, "patch_size": 8}),
    "relpos": ("vit_relpos_base_patch16_cls_224", SMALL),
    "shared_relpos": ("vit_srelpos_small_patch16_224", SMALL),
    "sam": ("samvit_base_patch16_224", {**SMALL, "window_size": 2, "global_attn_indexes": (1,)}),
    "beit": ("beit_base_patch16_224", SMALL),
    "eva_giant": ("eva_giant_patch14_224", SMALL),
    "eva02": ("eva02_base_patch14_224", SMALL),
    "eva02_fused": ("eva02_tiny_patch14_224", SMALL),
    "eva02_clip": ("eva02_base_patch16_clip_224", SMALL),
    "dinov3": ("vit_small_patch16_dinov3", SMALL),
    "dinov3_plus": ("vit_small_plus_patch16_dinov3_qkvb", SMALL),
    "pe_core": ("vit_pe_core_small_patch16_384", SMALL),
    "rope_mixed": ("vit_base_patch16_rope_mixed_224", SMALL),
    "grouped": ("vit_base_patch16_sapiens2", {**SMALL, "num_heads": 4, "num_kv_heads": 2}),
    "swin": ("swin_tiny_patch4_window7_224", {**SWIN, "depths": (1, 1)}),
    "swin_shifted": ("swin_tiny_patch4_window7_224", {**SWIN, "depths": (2, 1)}),
}


class Small(NamedTuple):
    """A network, its table, and what it gave for `images` before the table was made."""

    model: nn.Module
    table: Table
    images: Tensor
    features: Tensor


@pytest.fixture(scope="session")
def small() -> Callable[[str], Small]:
    """One of KINDS, built once."""

    @cache
    def make(kind: str) -> Small:
        name, args = KINDS[kind]
        model = timm.create_model(name, num_classes=0, **args).eval().requires_grad_(False)
        rng = torch.Generator().manual_seed(0)
        for key, value in model.named_parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=rng))
            if "norm" in key and key.endswith("weight"):
                value.add_(1.0)
        images = torch.randn(3, 3, 32, 32, generator=rng)
        features = model(images)
        return Small(model, timm_table(model, name), images, features)

    return make


@pytest.fixture
def watch() -> Callable[[Small], dict[str, tuple[Tensor, Tensor]]]:
    """First argument and output of every module in one forward."""

    def run(small: Small) -> dict[str, tuple[Tensor, Tensor]]:
        seen: dict[str, tuple[Tensor, Tensor]] = {}
        handles = [
            module.register_forward_hook(lambda _, args, out, path=path: seen.update({path: (args[0], out)}))
            for path, module in small.model.named_modules()
            if path.startswith(small.table.blocks)
        ]
        small.model(small.images)
        for handle in handles:
            handle.remove()
        return seen

    return run


@pytest.fixture
def on_meta() -> Callable[..., nn.Module]:
    """A timm model without memory: shapes only."""

    def make(name: str, **args: Any) -> nn.Module:
        with torch.device("meta"):
            return timm.create_model(name, num_classes=0, **args)

    return make
