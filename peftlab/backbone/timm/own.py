"""A timm model that somebody made, as a backbone: used as it is, without its classifier."""

from typing import Any

from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.timm.model import input_spec
from peftlab.backbone.timm.plain import classifiers
from peftlab.backbone.timm.table import timm_table
from peftlab.errors import UserError


def own_backbone(model: nn.Module) -> Backbone:
    """The backbone in a model of `timm.create_model`, with or without a classifier; its weights are frozen.

    Raises:
        UserError: if it is no timm model, or its architecture has no table.
    """
    name = getattr(model, "pretrained_cfg", {}).get("architecture")
    if name is None or not hasattr(model, "forward_head"):
        raise UserError(
            f"model={type(model).__name__} is not a network of timm.create_model, and none of transformers; legal: one"
        )
    model.requires_grad_(False)
    given: dict[str, Any] = timm_table(model, name)._asdict()
    heads = tuple(f"{key}." for key in classifiers(model))
    given["outside"] = tuple(key for key in given["outside"] if not key.startswith(heads or ("-",)))
    num_features: Any = model.num_features
    return Backbone(
        model=model,
        name=name,
        input_spec=input_spec(model, name),
        num_features=int(num_features),
        hash="own",
        read=_pooled,
        **given,
    )


def _pooled(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    timm_model: Any = model
    features: Tensor = timm_model.forward_head(timm_model.forward_features(inputs["images"]), pre_logits=True)
    return features
