"""A backbone without numbers: its shapes and its table of places, in no time and no memory."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.timm.checkpoint import called
from peftlab.backbone.timm.model import check_depth, created, input_spec
from peftlab.backbone.timm.table import timm_table

DRAWS = {"uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_"}
FILLS = DRAWS | {"add_", "clamp_", "copy_", "erfinv_", "fill_", "mul_", "zero_"}


def shapes(options: Mapping[str, Any]) -> Backbone:
    """The backbone of these options on torch's meta device; nothing is downloaded.

    Raises:
        UserError: if timm cannot make it, this architecture has no table, or it is not as deep as the options promise.
    """
    with torch.device("meta"), _Unfilled():
        model = created(options["name"], False, options["model_args"]).eval().requires_grad_(False)
    table = timm_table(model, options["name"])
    name = called(options) or options["name"]
    check_depth(options["depth"], table, name)
    num_features: Any = model.num_features
    return Backbone(
        model=model,
        name=name,
        input_spec=input_spec(model, options["name"]),
        num_features=int(num_features),
        hash="meta",
        **table._asdict(),
    )


class _Unfilled(TorchFunctionMode):
    """Inside, tensors without numbers are not filled: to draw or to clamp there would import torch's compiler, in two seconds."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        first = args[0] if args else named.get("tensor")
        if getattr(func, "__name__", "") in FILLS and isinstance(first, torch.Tensor) and first.is_meta:
            return first
        return func(*args, **named)
