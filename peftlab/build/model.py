"""From a config to the adapted model: backbone + the sites of every part + scaling + head."""

import inspect
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone
from peftlab.build.budget import check_mask, mask_part, within_budget
from peftlab.build.instantiate import make
from peftlab.build.measure import Measure
from peftlab.build.supernet import is_supernet, sampler_of, space_of
from peftlab.config.place import Placed, check_cells, options_of, placement_function, resolve_placement
from peftlab.errors import UserError
from peftlab.network.adapted import Adapted
from peftlab.network.attachment import Anchor
from peftlab.network.insertion import Ends, ends
from peftlab.network.selected import weight_key
from peftlab.peft.part import parts_of
from peftlab.peft.weights import Chosen, Weight, Weights
from peftlab.placement.cell import Cells
from peftlab.scaling.gamma import Place as ScaledPlace
from peftlab.scaling.gamma import Scaling
from peftlab.site import Site, site_order
from peftlab.stream import generator


def build_backbone(config: dict[str, Any]) -> Backbone:
    """The frozen network alone."""
    backbone: Backbone = make(config["backbone"])
    return backbone


def build_head(
    config: dict[str, Any], backbone: Backbone, num_classes: int, means: Float[Tensor, "c d"] | None
) -> nn.Module:
    """The classifier at its start; `means` are the class means of the frozen features, if it starts from them."""
    head: nn.Module = make(config["head"])(
        backbone.num_features, num_classes, means, generator(config["seed"], "head")
    )
    return head


def place(config: dict[str, Any], backbone: Backbone, measure: Measure | None = None) -> Placed:
    """The sites of every part on this backbone.

    Raises:
        UserError: for a placement that does not fit, or a part that this backbone has no place for.
    """
    for name, part in parts_of(config["peft"]).items():
        lacks = [position for position in part["positions"] if position not in backbone.positions]
        if part["positions"] and len(lacks) == len(part["positions"]):
            why = backbone.refused.get(lacks[0], "its blocks have no such place")
            raise UserError(f"peft: {name} acts at {', '.join(lacks)}, which {backbone.name} lacks: {why}")
    function = placement_function(config)
    if measure is None and "measure" in inspect.signature(function).parameters:
        raise UserError(
            f"placement={function.__name__} chooses sites on training images, and there are none here"
        )
    placed = resolve_placement(config, backbone.labels, backbone.positions, measure)
    check_cells(placed, config)
    return within_budget(config, backbone, placed)


def build_model(
    config: dict[str, Any],
    backbone: Backbone,
    head: nn.Module,
    placed: Placed | None = None,
    measure: Measure | None = None,
    indices: dict[str, Tensor] | None = None,
) -> tuple[Adapted, Scaling]:
    """The adapted model and its scaling. `placed` None is what the config places.

    `measure` gives a mask method its scores; `indices` are masks that were chosen before, by weight.
    """
    placed = place(config, backbone, measure) if placed is None else placed
    anchors: list[Anchor] = []
    scaled: list[ScaledPlace] = []
    chosen: Chosen = []
    for name, part in parts_of(config["peft"]).items():
        if part["insertion"] == "in_place":
            chosen += _choose(config, part, placed[name], backbone, head, measure, indices)
            continue
        form = make(options_of(part))
        for site, options in placed[name].items():
            anchor = _anchor(form, part["insertion"], backbone, site, options, config["seed"])
            anchors.append(anchor)
            if part.get("scale") is not None:
                factor = part["scale"] if config["scaling"]["value"] is None else 1.0
                reach = ends(part["insertion"], backbone.place(site))
                scaled.append(_scaled(anchor, reach, float(options.get("scale", 1.0)) * factor))
    # gamma's order is that of the sites, whatever the order of the parts
    anchors.sort(key=lambda anchor: site_order(anchor.site))
    scaled.sort(key=lambda place: site_order(place.site))
    scaling: Scaling = make(config["scaling"])(scaled)
    sampler = None
    if is_supernet(config):
        deltas = {anchor.site: anchor.delta for anchor in anchors}
        sampler = sampler_of(space_of(deltas, placed, config["placement"]))
    return Adapted(backbone, anchors, scaling, chosen, head, sampler), scaling


def _anchor(
    form: Any, insertion: str, backbone: Backbone, site: Site, options: dict[str, Any], seed: int
) -> Anchor:
    """A site with its delta: what it reads and writes is the insertion's."""
    reads, writes, num_in, num_out = ends(insertion, backbone.place(site))
    if reads is None:
        raise UserError(
            f"peft.insertion=residual does not exist at {site} of {backbone.name}; legal: parallel, sequential"
        )
    own = {key: value for key, value in options.items() if key != "scale"}
    delta = form(num_in, num_out, generator(seed, "delta", str(site)), **own)
    return Anchor(site, reads, writes, delta)


def _scaled(anchor: Anchor, reach: Ends, scale: float) -> ScaledPlace:
    delta = anchor.delta
    return ScaledPlace(anchor.site, delta.width, reach.num_out, scale, reach.num_in, delta.per_token)


def _choose(
    config: dict[str, Any],
    part: dict[str, Any],
    cells: Cells,
    backbone: Backbone,
    head: nn.Module,
    measure: Measure | None,
    indices: dict[str, Tensor] | None,
) -> Chosen:
    """What a selective part trains, chosen by its own rule, or as `indices` say."""
    weights = _weights(cells, backbone, head, measure)
    if indices is not None and "keep_ratio" in part:
        candidates = weights.candidates(part.get("outside_blocks", False))
        return [(weight, _mask(weight, indices)) for weight in candidates if weight_key(weight) in indices]
    part = mask_part(config, part, weights.num_backbone, weights.num_head)
    chosen: Chosen = make(options_of(part))(weights)
    check_mask(config, part, chosen)
    return chosen


def _mask(weight: Weight, indices: dict[str, Tensor]) -> Tensor:
    mask = torch.zeros(weight.value.numel(), dtype=torch.bool)
    index = indices[weight_key(weight)]
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < mask.numel():
        raise UserError(
            f"the saved mask of {weight.name} does not fit the {mask.numel()} entries that it has here"
        )
    mask[index] = True
    return mask.view(weight.value.shape)


def _weights(cells: Cells, backbone: Backbone, head: nn.Module, measure: Measure | None) -> Weights:
    """The weights of the placed sites, each once, and those outside the blocks."""
    values = dict(backbone.model.named_parameters())
    modules = dict(backbone.model.named_modules())
    inside: dict[tuple[str, tuple[int, int]], Weight] = {}
    for site in cells:
        for name, part in backbone.place(site).parameters:
            value = values[name].detach().chunk(part[1])[part[0]]
            inside.setdefault((name, part), Weight(name, part, value, site))
    outside = [Weight(name, (0, 1), values[name].detach(), None) for name in backbone.outside]
    heads = {
        site.block: getattr(modules[place.input.module], "num_heads", 1)
        for site, place in backbone.places.items()
        if site.position == "kv"
    }

    def measured() -> Measure:
        if measure is None:
            raise UserError("peft: this method scores weights on training images, and there are none here")
        return measure

    return Weights(
        list(inside.values()),
        outside,
        heads,
        sum(value.numel() for value in values.values()),
        sum(value.numel() for value in head.parameters()),
        lambda num: measured().gradients(num),
        lambda num: measured().class_gradients(num),
    )
