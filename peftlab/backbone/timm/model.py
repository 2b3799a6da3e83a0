"""backbone=<any>: a timm model by name, with weights from timm's hub, a local file or the package itself."""

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.digest import digest_of
from peftlab.backbone.hub import hub_or_cache
from peftlab.backbone.int8 import quantised
from peftlab.backbone.quantise import Quantise
from peftlab.backbone.state import first_sentence, read_state
from peftlab.backbone.table import check_depth
from peftlab.backbone.timm.arguments import check_arguments
from peftlab.backbone.timm.checkpoint import called, check_checkpoint, checkpoint_path
from peftlab.backbone.timm.layout import timm_layout
from peftlab.backbone.timm.table import timm_table
from peftlab.errors import UserError
from peftlab.inputs.image import InputSpec
from peftlab.inputs.unused import without_unused
from peftlab.option import NumBlocks
from peftlab.stream import stream_seed

UNUSED = ("mask_token", "decoder_")  # of pretraining by masked patches


def timm_model(
    *,
    name: str,
    pretrained: bool,
    checkpoint: str | None,
    sha256: str | None,
    depth: NumBlocks | list[NumBlocks] | None,
    model_args: dict[str, Any],
    quantise: Quantise,
) -> Backbone:
    """A frozen timm model in fp32, without its classifier, in eval mode.

    `checkpoint` is a path, or `package:FILE` for weights that ship with peftlab; `depth` is what the YAML promises
    (so that a placement can be checked before anything is loaded), and must be the model's own: how many blocks, or
    a list of how many in each stage.
    `quantise` keeps the linear layers of its blocks in fewer bits: see `quantised`.

    Raises:
        UserError: unknown name, weights that cannot be had, a file that does not match the model or its sha256.
    """
    check_checkpoint({"pretrained": pretrained, "checkpoint": checkpoint, "sha256": sha256})
    check_arguments(name, model_args)
    model = created(name, pretrained, model_args)
    if checkpoint is not None:
        _load(model, name, checkpoint, sha256)
    model.eval().requires_grad_(False)
    table = timm_table(model, name)
    shown = called({"name": name, "checkpoint": checkpoint}) or name
    check_depth(depth, table, shown)
    spec, digest = input_spec(model, name), digest_of(model)
    num_features: Any = model.num_features
    given: dict[str, Any] = table._asdict()
    backbone = Backbone(
        model=model, name=shown, input_spec=spec, num_features=int(num_features), hash=digest, **given
    )
    return quantised(backbone, quantise)


def created(name: str, pretrained: bool, model_args: dict[str, Any]) -> nn.Module:
    """timm's model without its classifier.

    Raises:
        UserError: unknown name, arguments that do not fit it, or weights that cannot be had.
    """
    with without_unused():
        import timm

    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('.')[0][:12]}*")[:5]
        raise UserError(
            f"backbone.name={name} is not a timm model; legal: timm.list_models(), near ones: {', '.join(near)}"
        )
    try:
        with torch.random.fork_rng(devices=[]), hub_or_cache(f"timm/{name}") if pretrained else nullcontext():
            torch.manual_seed(stream_seed(0, "backbone"))
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **model_args)
    except (TypeError, ValueError, AssertionError) as error:
        raise UserError(
            f"backbone.model_args={model_args} does not fit {name}: {first_sentence(error)}"
        ) from error
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise UserError(f"backbone.name={name} cannot be built: {first_sentence(error)}") from error
        raise UserError(
            f"backbone.pretrained=true: the weights of {name} cannot be had ({first_sentence(error)}); download them on a machine with"
            " network and give backbone.pretrained=false backbone.checkpoint=FILE"
        ) from error


def _load(model: nn.Module, name: str, checkpoint: str, sha256: str | None) -> None:
    state = timm_layout(read_state(checkpoint_path(checkpoint), checkpoint, sha256))
    classifier = tuple(f"{key}." for key in _classifiers(model))
    wanted = model.state_dict()
    unused = (*classifier, *UNUSED)
    state = {
        key: value.float() for key, value in state.items() if key in wanted or not key.startswith(unused)
    }
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    shapes = [key for key in wanted.keys() & state.keys() if wanted[key].shape != state[key].shape]
    if shapes == ["pos_embed"] and not (missing or extra) and wanted["pos_embed"].dim() == 3:
        own, theirs = _side(wanted["pos_embed"], model), _side(state["pos_embed"], model)
        raise UserError(
            f"backbone.checkpoint={checkpoint} is of images of {theirs} pixels, and the model reads {own}; legal:"
            f" ++backbone.model_args.img_size={theirs}"
        )
    if missing or extra or shapes:
        raise UserError(
            f"backbone.checkpoint={checkpoint} is not a {name}: {len(missing)} weights missing {missing[:3]},"
            f" {len(extra)} not in the model {extra[:3]}, {len(shapes)} of another shape {sorted(shapes)[:3]}"
        )
    model.load_state_dict(state, strict=True)


def _side(positions: Tensor, model: nn.Module) -> int:
    """The side in pixels of the square pictures that a table of absolute positions is for."""
    of: Any = model
    prefix = 0 if getattr(of, "no_embed_class", False) else of.num_prefix_tokens
    return int(math.isqrt(positions.shape[1] - prefix) * of.patch_embed.patch_size[0])


def _classifiers(model: nn.Module) -> tuple[str, ...]:
    names = getattr(model, "pretrained_cfg", {}).get("classifier") or "head"
    return (names,) if isinstance(names, str) else tuple(names)


def input_spec(model: nn.Module, name: str) -> InputSpec:
    from timm.data import resolve_model_data_config

    data = resolve_model_data_config(model)
    patches = getattr(model, "patch_embed", None)
    size = tuple(getattr(patches, "img_size", None) or data["input_size"][1:])
    if size[0] != size[1]:
        raise UserError(
            f"backbone.name={name} reads images of {size[0]} x {size[1]}; legal: models of square images"
        )
    mean, std = data["mean"], data["std"]
    return InputSpec(int(size[0]), tuple(mean), tuple(std), data["interpolation"], float(data["crop_pct"]))
