"""Trained models and run folders whose every trained tensor is random."""

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

CLASSES = [f"class {index}" for index in range(10)]
SMALL = {"depth": 2, "embed_dim": 16, "num_heads": 2}
# timm name and arguments by family; eva02 has q, k, v apart and a gated MLP, eva02_fused and beit a bias beside the matrix
NODES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, **SMALL}),
    "dinov2": ("vit_small_patch14_reg4_dinov2", {"img_size": 28, "qk_norm": True, **SMALL}),
    "clip": ("vit_base_patch16_clip_quickgelu_224", {"img_size": 32, "patch_size": 8, **SMALL}),
    "average": ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "global_pool": "avg", **SMALL}),
    "distilled": ("deit_tiny_distilled_patch16_224", {"img_size": 32, "patch_size": 8, **SMALL}),
    "eva02": ("eva02_base_patch14_224", {"img_size": 32, "patch_size": 8, **SMALL}),
    "eva02_fused": ("eva02_tiny_patch14_224", {"img_size": 32, "patch_size": 8, **SMALL}),
    "beit": ("beit_base_patch16_224", {"img_size": 32, "patch_size": 8, **SMALL}),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "window_size": 4, "depths": (1, 1), "embed_dim": 8, "num_heads": (2, 4)},
    ),
}


def randomise(tensors: Any, scale: float = 0.3) -> None:
    with torch.no_grad():
        for value in tensors:
            value.copy_(scale * torch.randn(value.shape))


def trained(config: dict[str, Any], family: str) -> SimpleNamespace:
    """What `read_run` gives, on a small backbone without special weights; `.images` fit it."""
    from peftlab.adapter_file import Trained
    from peftlab.model import build_backbone, build_head, build_model

    name, arguments = NODES[family]
    config["backbone"] = {**config["backbone"], "name": name, "model_args": arguments, "depth": None}
    backbone = build_backbone(config)
    for key, value in backbone.model.named_parameters():
        randomise([value])
        if "norm" in key and key.endswith("weight"):
            value.data.add_(1.0)
    model, _ = build_model(config, backbone, build_head(config, backbone, len(CLASSES), None))
    randomise([*model.theta().values(), *model.gamma.parameters()])
    card = {"class_names": CLASSES, "run_id": "0" * 16, "backbone": name, "backbone_hash": backbone.hash}
    size = backbone.input_spec.size
    return SimpleNamespace(
        run=Trained(config, card, backbone, model.eval()), images=torch.randn(4, 3, size, size)
    )


@pytest.fixture
def perturbed(recipe: Any) -> Callable[..., Any]:
    """`trained` of a recipe: `perturbed("lora", "meta", family="swin", head="linear")`; `node` is a peft node of one's own."""

    def make(
        method: str,
        scaling: str = "fixed",
        family: str = "plain",
        head: str = "cosine",
        node: dict[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        config = recipe(method, scaling, **more)
        config["peft"] = node or config["peft"]
        return trained(with_head(config, head), family)

    return make


def with_head(config: dict[str, Any], head: str) -> dict[str, Any]:
    if head == "linear":
        config["head"] = {"_target_": "peftlab.head.linear.Linear", "_partial_": True, "init": "random"}
    return config


def save(folder: Path, config: dict[str, Any]) -> Path:
    from peftlab.adapter_file import save_adapter
    from peftlab.model import build_backbone, build_head, build_model, place

    backbone = build_backbone(config)
    placed = place(config, backbone)
    model, _ = build_model(config, backbone, build_head(config, backbone, len(CLASSES), None), placed)
    randomise([*model.theta().values(), *model.gamma.parameters()])
    card = {
        "backbone": backbone.name,
        "backbone_hash": backbone.hash,
        "class_names": CLASSES,
        "run_id": "0" * 16,
    }
    folder.mkdir()
    save_adapter(folder, model, placed, card)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture
def run_folder(recipe: Any, tmp_path: Path) -> Callable[..., Path]:
    """The folder of a finished run on the tiny backbone: `run_folder("lora", "learned", head="linear")`."""
    number = count()

    def make(peft: str, scaling: str = "fixed", head: str = "cosine", **more: Any) -> Path:
        return save(tmp_path / f"run{next(number)}", with_head(recipe(peft, scaling, **more), head))

    return make


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Any]:
    """`export` into a folder of tmp_path: its card and the folder."""
    from peftlab.export.export import export as write

    number = count()

    def make(folder: Path, to: str, rank: int | None = None, images: str | None = None) -> Any:
        out = tmp_path / f"out{next(number)}"
        return SimpleNamespace(card=write(folder, to, out, rank=rank, images=images), folder=out)

    return make


@pytest.fixture
def plain() -> Callable[..., Any]:
    """A timm model built as a user does: `plain(config, 10)`; the frozen weights are not in it."""
    import timm

    def make(config: dict[str, Any], num_classes: int) -> Any:
        node = config["backbone"]
        return partial(timm.create_model, node["name"], num_classes=num_classes)(**node["model_args"]).eval()

    return make
