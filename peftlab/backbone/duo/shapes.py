"""Two towers without numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.duo.model import joined
from peftlab.option import Choice


def shapes(options: Mapping[str, Any], shapes_of: Callable[[Choice], Backbone]) -> Backbone:
    """The pair of these options on torch's meta device; `shapes_of` is that of a tower.

    Raises:
        UserError: as the towers.
    """
    image, text = (shapes_of(options[word]) for word in ("image", "text"))
    with torch.device("meta"):
        return joined(str(options["name"]), image, text, options["scale"])
