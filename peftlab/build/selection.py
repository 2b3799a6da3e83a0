"""Which weights a selective part trains, by its own rule or as they were chosen before."""

from dataclasses import replace

import torch
from torch import Tensor

from peftlab.backbone.backbone import Backbone
from peftlab.backbone.plain import plain
from peftlab.build.budget import check_mask, mask_of
from peftlab.build.start import Start
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.network.selected import weight_key
from peftlab.peft.mask.mask import Mask
from peftlab.peft.part import Part
from peftlab.peft.selection import Selection
from peftlab.peft.weights import Chosen, Weight, Weights
from peftlab.placement.ground import Cells


def choose(resolved: Resolved, part: Part, backbone: Backbone, cells: Cells, start: Start) -> Chosen:
    """What the part trains.

    Raises:
        UserError: for a mask that was saved for other weights, or a budget that the rule cannot fill.
    """
    selection: Selection = part.form()
    weights = _weights(cells, backbone, start)
    if not isinstance(selection, Mask):
        return selection.choose(weights)
    if start.indices is not None:
        saved = [(weight, start.indices.get(weight_key(weight))) for weight in selection.candidates(weights)]
        return [(weight, _mask(weight, index)) for weight, index in saved if index is not None]
    if resolved.budget is None:
        return selection.choose(weights)
    sized = replace(selection, keep_ratio=mask_of(selection, resolved.budget, weights))
    chosen = sized.choose(weights)
    check_mask(resolved.budget, chosen)
    return chosen


def _mask(weight: Weight, index: Tensor) -> Tensor:
    mask = torch.zeros(weight.value.numel(), dtype=torch.bool)
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < mask.numel():
        raise UserError(
            f"the saved mask of {weight.name} does not fit the {mask.numel()} entries that it has here"
        )
    mask[index] = True
    return mask.view(weight.value.shape)


def _weights(cells: Cells, backbone: Backbone, start: Start) -> Weights:
    """The weights of the placed sites, each once, and those outside the blocks."""
    values = dict(backbone.model.named_parameters())
    inside: dict[tuple[str, tuple[int, int]], Weight] = {}
    for site in cells:
        for name, part in backbone.place(site).parameters:
            value = plain(values[name]).detach().chunk(part[1])[part[0]]
            inside.setdefault((name, part), Weight(name, part, value, site))
    outside = [Weight(name, (0, 1), values[name].detach(), None) for name in backbone.outside]
    with_heads = [site.block for site in backbone.places if site.position == "kv"]
    return Weights(
        list(inside.values()),
        outside,
        {block: backbone.num_key_heads(block) for block in with_heads},
        sum(value.numel() for value in values.values()),
        sum(value.numel() for value in start.head.parameters()),
        lambda num: start.measured().gradients(num),
        lambda num: start.measured().class_gradients(num),
    )
