"""Checkpoints of open_clip and of MAE, made up with their names and shapes, against forwards that know nothing of timm."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.timm.layout import timm_layout
from peftlab.backbone.timm.model import timm_model
from peftlab.config.directory import config_dir
from peftlab.errors import UserError

SMALL: dict[str, Any] = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 16, "num_heads": 2}
QUICK, PLAIN = "vit_base_patch32_clip_quickgelu_224", "vit_huge_patch14_clip_224"
# file of configs/backbone -> width, blocks, side of a patch and tokens of the towers of open_clip's model_configs
TOWERS = {
    "remoteclip_vit_b_32": (768, 12, 32, 50),
    "remoteclip_vit_l_14": (1024, 24, 14, 257),
    "georsclip_vit_b_32": (768, 12, 32, 50),
    "georsclip_vit_l_14": (1024, 24, 14, 257),
    "georsclip_vit_h_14": (1280, 32, 14, 257),
}


def shapes_of_clip(width: int, depth: int, patch: int, tokens: int) -> dict[str, tuple[int, ...]]:
    """What open_clip's files have, as its modules are named; a word of the tower of texts beside."""
    block: dict[str, tuple[int, ...]] = {
        **{f"{norm}.{kind}": (width,) for norm in ("ln_1", "ln_2") for kind in ("weight", "bias")},
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "attn.out_proj.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width),
        "mlp.c_proj.bias": (width,),
    }
    return {
        "positional_embedding": (77, width),
        "text_projection": (width, width),
        "logit_scale": (),
        "transformer.resblocks.0.ln_1.weight": (width,),
        "visual.class_embedding": (width,),
        "visual.positional_embedding": (tokens, width),
        "visual.proj": (width, width // 2),
        "visual.conv1.weight": (width, 3, patch, patch),
        **{f"visual.ln_{at}.{kind}": (width,) for at in ("pre", "post") for kind in ("weight", "bias")},
        **{
            f"visual.transformer.resblocks.{number}.{key}": shape
            for number in range(depth)
            for key, shape in block.items()
        },
    }


def shapes_of_mae(width: int, depth: int) -> dict[str, tuple[int, ...]]:
    """Of an encoder of 4 x 4 patches of 8 pixels, and some of its decoder."""
    linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    linear |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
    found: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 17, width),
        "patch_embed.proj.weight": (width, 3, 8, 8),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "mask_token": (1, 1, 8),
        "decoder_pos_embed": (1, 17, 8),
        "decoder_embed.weight": (8, width),
        "decoder_blocks.0.norm1.weight": (8,),
        "decoder_norm.bias": (8,),
        "decoder_pred.bias": (192,),
    }
    for number in range(depth):
        for norm in ("norm1", "norm2"):
            found |= {f"blocks.{number}.{norm}.{kind}": (width,) for kind in ("weight", "bias")}
        for name, (rows, columns) in linear.items():
            found |= {
                f"blocks.{number}.{name}.weight": (rows, columns),
                f"blocks.{number}.{name}.bias": (rows,),
            }
    return found


def random_of(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(3)
    return {key: 0.3 * torch.randn(shape, generator=rng) for key, shape in shapes.items()}


def clip_tower(state: dict[str, Tensor], images: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """The feature in front of CLIP's projection, by PyTorch's own attention and norms, two heads of a width of 16."""
    own = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, (16,), own[f"{name}.weight"], own[f"{name}.bias"])

    x = functional.conv2d(images, own["conv1.weight"], stride=8).flatten(2).transpose(1, 2)
    x = torch.cat([own["class_embedding"].expand(len(x), 1, 16), x], 1) + own["positional_embedding"]
    x = norm("ln_pre", x)
    for number in range(2):
        at = f"transformer.resblocks.{number}"
        attention = nn.MultiheadAttention(16, 2, batch_first=True)
        attention.load_state_dict(
            {key[len(at) + 6 :]: value for key, value in own.items() if key.startswith(f"{at}.attn.")}
        )
        y = norm(f"{at}.ln_1", x)
        x = x + attention(y, y, y, need_weights=False)[0]
        y = functional.linear(norm(f"{at}.ln_2", x), own[f"{at}.mlp.c_fc.weight"], own[f"{at}.mlp.c_fc.bias"])
        x = x + functional.linear(activation(y), own[f"{at}.mlp.c_proj.weight"], own[f"{at}.mlp.c_proj.bias"])
    return norm("ln_post", x[:, 0])


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def load(path: Path, content: Any, name: str = QUICK, **args: Any) -> Backbone:
    torch.save(content, path)
    return timm_model(
        name=name,
        pretrained=False,
        checkpoint=str(path),
        sha256=None,
        quantise=None,
        depth=2,
        model_args={**SMALL, **args},
    )


@pytest.mark.parametrize(("name", "activation"), [(QUICK, quick_gelu), (PLAIN, functional.gelu)])
@pytest.mark.parametrize("form", ["plain", "state_dict", "module"])
def test_a_tower_of_open_clip_gives_its_features(
    tmp_path: Path, name: str, activation: Callable[[Tensor], Tensor], form: str
) -> None:
    state = random_of(shapes_of_clip(16, 2, 8, 17))
    content: Any = state if form == "plain" else {"state_dict": state, "epoch": 3}
    if form == "module":
        content = {"state_dict": {f"module.{key}": value for key, value in state.items()}}
    backbone = load(tmp_path / "clip.pt", content, name)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    wanted = clip_tower(state, images, activation)
    with torch.no_grad():
        torch.testing.assert_close(backbone.model(images), wanted, rtol=1e-5, atol=1e-5)
    other = clip_tower(state, images, functional.gelu if activation is quick_gelu else quick_gelu)
    assert (other - wanted).abs().max() > 1e-3, "the two activations cannot be told apart here"


@pytest.mark.parametrize("stem", TOWERS)
def test_every_name_and_shape_of_a_whole_tower_is_timm_s(
    stem: str, on_meta: Callable[..., nn.Module]
) -> None:
    node = OmegaConf.to_container(OmegaConf.load(config_dir() / "backbone" / f"{stem}.yaml"))
    assert isinstance(node, dict)
    wanted = {key: value.shape for key, value in on_meta(node["name"]).state_dict().items()}
    given = {key: torch.empty(shape, device="meta") for key, shape in shapes_of_clip(*TOWERS[stem]).items()}
    assert {key: value.shape for key, value in timm_layout(given).items()} == wanted


def test_a_file_of_mae_gives_its_encoder(tmp_path: Path) -> None:
    """With what MAE's training writes beside the weights."""
    state = random_of(shapes_of_mae(16, 2))
    more = {
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]},
        "epoch": 799,
        "args": Namespace(lr=1e-3),
    }
    backbone = load(tmp_path / "mae.pth", {"model": state, **more}, "vit_large_patch16_224.mae")
    own = backbone.model.state_dict()
    assert own.keys() == {key for key in state if not key.startswith(("decoder_", "mask_token"))}
    assert all(torch.equal(value, state[key]) for key, value in own.items())


@pytest.mark.parametrize("kind", ["clip", "mae"])
@pytest.mark.parametrize("wrong", ["missing", "extra", "misshapen", "positions"])
def test_what_does_not_fit_is_named(tmp_path: Path, kind: str, wrong: str) -> None:
    clip = kind == "clip"
    state = random_of(shapes_of_clip(16, 2, 8, 17) if clip else shapes_of_mae(16, 2))
    at = "visual.transformer.resblocks.1.ln_2.bias" if clip else "blocks.1.norm2.bias"
    positions = "visual.positional_embedding" if clip else "pos_embed"
    if wrong == "missing":
        del state[at]
    elif wrong == "extra":
        state[at.replace("bias", "gamma")] = torch.zeros(16)
    elif wrong == "misshapen":
        state[at] = torch.zeros(17)
    else:
        state[positions] = torch.zeros((26, 16) if clip else (1, 26, 16))
    words = {
        "missing": r"1 weights missing \['blocks.1.norm2.bias'\], 0 not in the model",
        "extra": r"0 weights missing \[\], 1 not in the model \['blocks.1.norm2.gamma'\]",
        "misshapen": r"0 not in the model \[\], 1 of another shape \['blocks.1.norm2.bias'\]",
        "positions": r"is of images of 40 pixels, and the model reads 32; legal: \+\+backbone.model_args.img_size=40",
    }
    with pytest.raises(UserError, match=words[wrong]):
        load(tmp_path / "weights.pt", state, QUICK if clip else "vit_large_patch16_224.mae")
