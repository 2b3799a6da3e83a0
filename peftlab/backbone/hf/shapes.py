"""A Hugging Face network without numbers: its shapes and its table of places."""

from collections.abc import Mapping
from typing import Any

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.hf.folder import check_files, check_folder, local_folder
from peftlab.backbone.hf.hub import hub_folder
from peftlab.backbone.hf.model import backbone_of, created
from peftlab.backbone.unfilled import Unfilled


def shapes(options: Mapping[str, Any]) -> Backbone:
    """The backbone of these options on torch's meta device; of a model of the hub its files are needed.

    Raises:
        UserError: if a file is missing, this family has no table, or it is not as deep as the options promise.
    """
    check_folder(options)
    name = options["name"]
    folder = local_folder(name) or hub_folder(name)
    family, config = check_files(name, folder, options["pretrained"])
    with torch.device("meta"), Unfilled():
        model, unembedding = created(name, family, config)
        return backbone_of(model, unembedding, family, folder, dict(options))
