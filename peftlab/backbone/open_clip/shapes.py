"""A CLIP of open_clip without numbers: its shapes and its tables of places."""

from collections.abc import Mapping
from typing import Any

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.open_clip.model import created, joined
from peftlab.backbone.open_clip.name import check_open_clip
from peftlab.backbone.unfilled import Unfilled


def shapes(options: Mapping[str, Any]) -> Backbone:
    """The backbone of these options on torch's meta device; no weights are read.

    Raises:
        UserError: as the backbone itself.
    """
    check_open_clip(options)
    with torch.device("meta"), Unfilled():
        return joined(options["name"], *created(options["name"], None, None, None))
