"""The network of a backbone as anybody else builds it: timm's own model, with or without its classifier."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from peftlab.inputs.unused import without_unused


def plain_model(options: Mapping[str, Any], num_classes: int) -> nn.Module:
    """`timm.create_model` of these options of a backbone, with random weights, in eval mode."""
    with without_unused():
        import timm

    with torch.random.fork_rng(devices=[]):
        model: nn.Module = timm.create_model(
            options["name"], num_classes=num_classes, **options["model_args"]
        )
    return model.eval()


def classifiers(model: nn.Module) -> list[str]:
    """The names of the linear layers that give the logits: two in a distilled DeiT, which averages them."""
    get: Any = model.get_classifier
    found = get()
    heads = found if isinstance(found, tuple) else (found,)
    names = {id(module): name for name, module in model.named_modules()}
    return [names[id(head)] for head in heads if isinstance(head, nn.Linear)]
