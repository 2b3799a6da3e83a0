"""A CLIP or SigLIP of Hugging Face without numbers: its shapes and its tables of places."""

from collections.abc import Mapping
from typing import Any

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.hf.hub import hub_folder
from peftlab.backbone.hf_clip.folder import READ, check_clip, config_of
from peftlab.backbone.hf_clip.model import created, joined
from peftlab.backbone.unfilled import Unfilled


def shapes(options: Mapping[str, Any]) -> Backbone:
    """The backbone of these options on torch's meta device; of a model of the hub its files are needed.

    Raises:
        UserError: as the backbone itself.
    """
    name = options["name"]
    folder = check_clip(options) or hub_folder(name, READ)
    config = config_of(name, folder, options["pretrained"])
    with torch.device("meta"), Unfilled():
        return joined(name, created(name, config), folder)
