"""From a resolved config to a cell on a backbone: the sites of every part, scaling, selected weights, head."""

from typing import NamedTuple

from peftlab.backbone.backbone import Backbone
from peftlab.build.budget import within_budget
from peftlab.build.scorer import Scorer
from peftlab.build.selection import choose
from peftlab.build.start import Start
from peftlab.build.supernet import sampler_of, space_of
from peftlab.build.views import gate_port, options_at, ports_at, shared_of, view_of
from peftlab.config.place import Placed, place
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.network.anchor import Anchor
from peftlab.network.cell import Cell
from peftlab.network.selected import Selected
from peftlab.peft.part import Part
from peftlab.peft.rules import check_rank
from peftlab.peft.weights import Chosen
from peftlab.placement.ground import Cells
from peftlab.scaling.gamma import Scaled, Scaling
from peftlab.site import Site, site_order
from peftlab.stream import generator


class Built(NamedTuple):
    """A cell, and how its gamma is trained."""

    cell: Cell
    scaling: Scaling


def place_on(resolved: Resolved, backbone: Backbone, scorer: Scorer | None = None) -> Placed:
    """The sites of every part on this backbone, within the budget.

    Raises:
        UserError: for a placement that does not fit, or a part that this backbone has no place for.
    """
    for part in resolved.parts:
        if part.is_temporal and backbone.input_spec.noun == "texts":
            raise UserError(f"{_said(part)} acts over the frames of clips, and {backbone.name} reads texts")
        lacks = [position for position in part.positions if position not in backbone.positions]
        if part.positions and len(lacks) == len(part.positions):
            why = backbone.refused.get(lacks[0], "its blocks have no such place")
            raise UserError(f"{_said(part)} acts at {', '.join(lacks)}, which {backbone.name} lacks: {why}")
    placed = place(resolved, backbone.labels, backbone.positions, scorer, places=backbone.places)
    if placed.is_open:
        raise UserError(
            f"placement={resolved.placement.word} chooses sites by what a run measures at its start, and here is no run"
        )
    return within_budget(resolved, backbone, placed)


def _said(part: Part) -> str:
    return f"peft: {part.name if part.name != 'peft' else part.form.word}"


def build_cell(resolved: Resolved, backbone: Backbone, placed: Placed, start: Start) -> Built:
    """The cell of a run on this backbone.

    Raises:
        UserError: for a method that does not fit the backbone.
    """
    anchors: list[Anchor] = []
    scaled: list[Scaled] = []
    chosen: Chosen = []
    for part in resolved.parts:
        cells = placed.parts[part.name]
        if part.is_selection:
            chosen += choose(resolved, part, backbone, cells, start)
            continue
        own = _anchors(resolved, part, backbone, cells)
        anchors += own
        if part.scale is not None:
            scaled += [_scaled(resolved, anchor, part, backbone, cells) for anchor in own]
    # gamma's order is that of the sites, whatever the order of the parts
    anchors.sort(key=lambda anchor: site_order(anchor.site))
    scaled.sort(key=lambda one: site_order(one.site))
    scaling: Scaling = resolved.scaling(scaled)
    sampler = None
    if resolved.is_supernet:
        deltas = {anchor.site: anchor.delta for anchor in anchors}
        sampler = sampler_of(space_of(deltas, placed.parts, resolved.placement.options))
    cell = Cell(anchors, scaling, Selected(backbone.model, chosen), start.head, sampler)
    return Built(cell, scaling)


def _anchors(resolved: Resolved, part: Part, backbone: Backbone, cells: Cells) -> list[Anchor]:
    """The sites of a part, each with its delta."""
    shared = shared_of(part, backbone, cells, resolved.seed)
    anchors = []
    for site, own in cells.items():
        ports = ports_at(part, backbone, site)
        assert ports.reads is not None
        view = view_of(part, backbone, site, shared)
        rng = generator(resolved.seed, "delta", str(site))
        options = options_at(part, own)
        if resolved.budget is None:  # which bounds the ranks that it solves for
            check_rank(part, site, options.get("rank", 0), (view.num_in, view.num_out))
        delta = part.form.function(view, rng, **options)
        _check_gate(resolved, part, backbone, site)
        gate_reads = None if part.scale is None else gate_port(resolved, backbone, site, ports)[0]
        anchors.append(Anchor(site, ports.reads, ports.writes, delta, gate_reads, ports.joins))
    return anchors


def _check_gate(resolved: Resolved, part: Part, backbone: Backbone, site: Site) -> None:
    """A gate of a whole text stands where the whole text may be read, and none where texts are made of what it reads."""
    if part.insertion == "conditional" and "per" in resolved.scaling.options:
        raise UserError(
            f"scaling: {part.form.word} reads the vector of an image and writes texts, so there is nothing that a gate could weigh; legal:"
            " fixed, learned, meta"
        )
    is_mean = part.scale is not None and resolved.scaling.options.get("per") == "sample"
    if is_mean and backbone.decoder is not None and site.block >= backbone.decoder:
        raise UserError(
            f"scaling.per=sample: {backbone.labels[site.block]}.{site.position} stands in a decoder, where a mean over tokens has read"
            " those that are to be said; legal: placement.depth=enc, or scaling.per=token"
        )


def _scaled(resolved: Resolved, anchor: Anchor, part: Part, backbone: Backbone, cells: Cells) -> Scaled:
    delta, site = anchor.delta, anchor.site
    factor = part.scale if resolved.scaling.options["value"] is None else 1.0
    scale = float(cells[site].get("scale", 1.0)) * float(factor or 1.0)
    ports = ports_at(part, backbone, site)
    _, num_read = gate_port(resolved, backbone, site, ports)
    return Scaled(site, delta.width, ports.num_out, scale, num_read, delta.per_token)
