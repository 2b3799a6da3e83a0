"""Fixtures that several test files share."""

import os

os.environ["PEFTLAB_CACHE"] = "off"  # a test that wants one makes it
if (
    "PEFTLAB_DATA" in os.environ
):  # for `data_dir`: without it a test sees no more here than on a machine that has no data
    os.environ["PEFTLAB_TESTS_DATA"] = os.environ.pop("PEFTLAB_DATA")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors; the cores are for the test processes
import sys
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = [
    "fixtures.command",
    "fixtures.configs",
    "fixtures.duo",
    "fixtures.exported",
    "fixtures.own_package",
    "fixtures.space",
    "fixtures.stand_ins",
    "fixtures.sweep",
    "fixtures.text",
    "fixtures.text_export",
    "fixtures.text_run",
    "fixtures.trackio_file",
    "fixtures.wandb_file",
]
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
    folder = Path(os.environ.get("PEFTLAB_TESTS_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no image sets in {folder}; PEFTLAB_DATA can name another folder")
    return folder


@pytest.fixture
def fresh_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is shared with what other tests have built, nor with what they will."""
    from collections import OrderedDict

    from peftlab.build import trunk

    monkeypatch.setattr(trunk, "_shared", {kind: OrderedDict() for kind in trunk.KEPT})


def random_vit(name: str, **model_args: Any) -> Any:
    """A small timm ViT with no special weight: no zero bias, no unit norm, no vanishing LayerScale."""
    import torch  # here, as in all of this file: tests of the command line need not wait for torch

    from peftlab.backbone.timm.model import timm_model

    node = {"pretrained": False, "checkpoint": None, "sha256": None, "depth": None, "quantise": None}
    backbone = timm_model(name=name, model_args=model_args, **node)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in backbone.model.named_parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=rng))
            if "norm" in key and key.endswith("weight"):
                value.add_(1.0)
    return backbone


def encoder(kind: str) -> Any:
    """A small text network with no special weight."""
    from fixtures.text import random_encoder

    return random_encoder(kind)


def clip_tower(kind: str, tower: str) -> Any:
    """One tower of a small CLIP of open_clip."""
    from fixtures.clip import clip_towers

    return getattr(clip_towers(kind), tower)


SMALL = {"depth": 2, "embed_dim": 16, "num_heads": 2}
SMALL_SWIN = {"img_size": 32, "window_size": 4, "depths": (1, 1), "embed_dim": 8, "num_heads": (2, 4)}
TEXT_KINDS = (
    *("bert", "roberta", "xlm-roberta", "distilbert"),
    *("llama", "qwen2", "mistral", "gpt2", "gptj", "gpt_neox", "opt", "mamba", "bart", "t5", "mt5"),
)
FAMILIES = {
    "plain": lambda: random_vit("vit_tiny_patch16_224", img_size=32, patch_size=8, **SMALL),
    "dinov2": lambda: random_vit("vit_small_patch14_reg4_dinov2", img_size=28, qk_norm=True, **SMALL),
    "clip": lambda: random_vit("vit_base_patch16_clip_quickgelu_224", img_size=32, patch_size=8, **SMALL),
    "average": lambda: random_vit(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, global_pool="avg", **SMALL
    ),
    "eva02": lambda: random_vit("eva02_base_patch14_224", img_size=32, patch_size=8, **SMALL),
    "swin": lambda: random_vit("swin_tiny_patch4_window7_224", **SMALL_SWIN),
    **{kind: partial(encoder, kind) for kind in TEXT_KINDS},
    "clip_image": partial(clip_tower, "layer_scale", "image"),
    "clip_text": partial(clip_tower, "plain", "text"),
    "siglip_text": partial(clip_tower, "siglip", "text"),
}


@pytest.fixture(scope="session")
def family() -> Callable[[str], Any]:
    """A small random backbone of each family, built once."""
    return cache(lambda name: FAMILIES[name]())


def inputs_of(backbone: Any, num_items: int, seed: int = 1) -> dict[str, Any]:
    """Random pictures, or texts of random tokens of which the first is the longest."""
    import torch
    from fixtures.text import text_inputs

    rng = torch.Generator().manual_seed(seed)
    spec = backbone.input_spec
    if hasattr(spec, "size"):
        return {"images": torch.randn(num_items, 3, spec.size, spec.size, generator=rng)}
    return text_inputs(spec, [9, *torch.randint(3, 9, (num_items - 1,), generator=rng).tolist()], rng)


@pytest.fixture(name="inputs_of")
def _inputs_of() -> Callable[..., dict[str, Any]]:
    """`inputs_of(backbone, num_items)`: see the function."""
    return inputs_of


@pytest.fixture(scope="session")
def hugging_face() -> Any:
    """Their PEFT, an oracle."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import peft
    return peft


def scorer_of(backbone: Any, head: Any, num_items: int = 6) -> Any:
    """What `build` measures on training items, here on random pictures or texts with labels 0, 1, 2, 0, ..."""
    import torch

    from peftlab.build.scorer import Scorer
    from peftlab.inputs.batch import Batch
    from peftlab.loss.cross_entropy import cross_entropy

    inputs = inputs_of(backbone, num_items, seed=5)
    labels, rows = torch.arange(num_items) % 3, torch.arange(num_items)

    def batch(start: int, stop: int) -> Batch:
        own = {name: value[start:stop] for name, value in inputs.items()}
        return Batch(own, labels[start:stop], rows[start:stop])

    return Scorer(
        backbone, head, cross_entropy(torch.ones(3, dtype=torch.long), label_smoothing=0.0), batch, num_items
    )


@pytest.fixture(name="scorer_of")
def _scorer_of() -> Callable[..., Any]:
    """`scorer_of(backbone, head)`: see the function."""
    return scorer_of


@pytest.fixture
def adapt() -> Callable[..., Any]:
    """A model of a config on a backbone, and its scaling: `model, scaling = adapt(recipe("lora"), backbone)`.

    `placed` in place of what the config places; `indices` are masks that were chosen before.
    """
    from peftlab.build.cell import build_cell, place_on
    from peftlab.build.start import Start
    from peftlab.config.resolve import resolve
    from peftlab.model.load import empty_head
    from peftlab.model.model import Model

    def make(config: dict[str, Any], backbone: Any, num_classes: int = 3, **more: Any) -> Any:
        resolved = resolve(on_depth(config, backbone))
        head = empty_head(resolved, backbone, num_classes)
        start = Start(head, scorer_of(backbone, head), more.get("indices"))
        placed = more.get("placed") or place_on(resolved, backbone, start.scorer)
        built = build_cell(resolved, backbone, placed, start)
        built.cell.to(next(backbone.model.parameters()).device)
        model = Model(backbone, built.cell)
        model.network.check(built.cell)
        return model, built.scaling

    return make


def on_depth(config: dict[str, Any], backbone: Any) -> dict[str, Any]:
    """The config with the depth that the backbone really has."""
    from peftlab.backbone.table import depth_of

    return {**config, "backbone": {**config["backbone"], "depth": depth_of(backbone.labels)}}


@pytest.fixture(scope="session")
def vit_base() -> Any:
    """ViT-B/16 without memory: shapes only."""
    import timm
    import torch

    from peftlab.backbone.backbone import Backbone
    from peftlab.backbone.timm.vit import vit_table
    from peftlab.inputs.image import InputSpec

    name = "vit_base_patch16_224"
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=0).eval().requires_grad_(False)
    given: dict[str, Any] = vit_table(model, name)._asdict()
    spec = InputSpec(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 0.9)
    return Backbone(model=model, name=name, input_spec=spec, num_features=768, hash="meta", **given)
