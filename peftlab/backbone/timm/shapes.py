"""A backbone without numbers: its shapes and its table of places, in no time and no memory."""

from collections.abc import Mapping
from typing import Any

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.table import check_depth
from peftlab.backbone.timm.checkpoint import called
from peftlab.backbone.timm.model import created, input_spec
from peftlab.backbone.timm.table import timm_table
from peftlab.backbone.unfilled import Unfilled


def shapes(options: Mapping[str, Any]) -> Backbone:
    """The backbone of these options on torch's meta device; nothing is downloaded.

    Raises:
        UserError: if timm cannot make it, this architecture has no table, or it is not as deep as the options promise.
    """
    with torch.device("meta"), Unfilled():
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
