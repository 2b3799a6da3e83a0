"""Fixtures that several test files share."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors; the cores are for the test processes
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from peftlab.config.directory import config_dir
from peftlab.config.name import register_resolvers

TINY = ("backbone=tiny", "dataset=digits_lt", "fit.epochs=2", "fit.batch_size=64")


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Tests that draw from torch's global stream draw the same numbers in every order and process."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def data_dir() -> Path:
    """The folder of real image sets: $PEFTLAB_DATA, or shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PEFTLAB_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no image sets in {folder}; PEFTLAB_DATA can name another folder")
    return folder


@pytest.fixture
def composed() -> Callable[..., dict[str, Any]]:
    """The resolved config of a command line, as plain dicts: `composed("peft=lora", "seed=1")`."""

    def make(*overrides: str) -> dict[str, Any]:
        register_resolvers()
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config: Any = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
        return config

    return make


@pytest.fixture(scope="session")
def recipe() -> Callable[..., dict[str, Any]]:
    """What `build_model` reads of a config, from the real YAML: `recipe("lora", "meta", **{"peft.rank": 4})`.

    The head starts from random vectors, so no data is needed. `cells` gives placement=cells, not the grid.
    """
    register_resolvers()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("config", ["backbone=tiny", "scaling=meta", "head.init=random"])
    base: Any = OmegaConf.to_container(config, resolve=True)

    @cache
    def choice(group: str, name: str) -> Any:
        return OmegaConf.to_container(OmegaConf.load(config_dir() / group / f"{name}.yaml"))

    def make(peft: str, scaling: str = "fixed", cells: Any = None, **keys: Any) -> dict[str, Any]:
        result = base | {"peft": choice("peft", peft)}
        if scaling != "meta":
            result["scaling"] = choice("scaling", scaling)
        if cells is not None:
            target = "peftlab.placement.cells.cells"
            result["placement"] = {"_target_": target, "_partial_": True, "cells": cells}
        result = deepcopy(result)
        for key, value in keys.items():
            group, _, option = key.rpartition(".")
            (result[group] if group else result)[option] = value
        return result

    return make


def random_vit(name: str, **model_args: Any) -> Any:
    """A small timm ViT with no special weight: no zero bias, no unit norm, no vanishing LayerScale."""
    import torch  # here, as in all of this file: tests of the command line need not wait for torch

    from peftlab.backbone.timm_model import timm_model

    node = {"pretrained": False, "checkpoint": None, "sha256": None, "depth": None}
    backbone = timm_model(name=name, model_args=model_args, **node)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in backbone.model.named_parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=rng))
            if "norm" in key and key.endswith("weight"):
                value.add_(1.0)
    return backbone


SMALL = {"depth": 2, "embed_dim": 16, "num_heads": 2}
FAMILIES = {
    "plain": lambda: random_vit("vit_tiny_patch16_224", img_size=32, patch_size=8, **SMALL),
    "dinov2": lambda: random_vit("vit_small_patch14_reg4_dinov2", img_size=28, qk_norm=True, **SMALL),
    "clip": lambda: random_vit("vit_base_patch16_clip_quickgelu_224", img_size=32, patch_size=8, **SMALL),
    "average": lambda: random_vit(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, global_pool="avg", **SMALL
    ),
}


@pytest.fixture(scope="session")
def family() -> Callable[[str], Any]:
    """A small random backbone of each family of ViTs, built once; `adapt` takes its sites off again."""
    return cache(lambda name: FAMILIES[name]())


@pytest.fixture
def adapt() -> Iterator[Callable[..., Any]]:
    """`build_model` on a shared backbone, which is clean again after the test."""
    from peftlab.build import build_model

    models: list[Any] = []

    def make(config: dict[str, Any], backbone: Any, num_classes: int = 3) -> Any:
        model, scaling = build_model(config, backbone, num_classes, None)
        models.append(model)
        return model, scaling

    yield make
    for model in reversed(models):
        model.attachment.detach()


@pytest.fixture(scope="session")
def vit_base() -> Any:
    """ViT-B/16 without memory: shapes only."""
    import timm
    import torch

    from peftlab.backbone.backbone import Backbone
    from peftlab.backbone.vit_table import vit_table
    from peftlab.input_spec import InputSpec

    with torch.device("meta"):
        model = timm.create_model("vit_base_patch16_224", num_classes=0).eval().requires_grad_(False)
    depth, places, outside = vit_table(model, "vit_base_patch16_224")
    spec = InputSpec(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 0.9)
    return Backbone(model, "vit_base_patch16_224", depth, places, outside, spec, 768, "meta")
