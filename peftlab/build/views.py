"""What the forms of a part are told about their sites."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from peftlab.backbone.backbone import Backbone, Port
from peftlab.backbone.plain import plain
from peftlab.build.classes import words_at
from peftlab.config.resolved import Resolved
from peftlab.errors import UserError
from peftlab.network.insertion import Ports, ports_of
from peftlab.peft.delta import Sharing
from peftlab.peft.part import INSERTIONS, Part
from peftlab.peft.view import View
from peftlab.placement.ground import Cells
from peftlab.site import MEMBERS, Site
from peftlab.stream import generator


def ports_at(part: Part, backbone: Backbone, site: Site) -> Ports:
    """What the part reads and writes at a site.

    Raises:
        UserError: if the backbone has no such site, or no residual stream there.
    """
    ports = ports_of(part.insertion, backbone.place(site))
    if ports.reads is None:
        legal = ", ".join(name for name in ("parallel", "sequential") if site.position in INSERTIONS[name])
        raise UserError(
            f"peft.insertion={part.insertion} does not exist at {site} of {backbone.name}; legal: {legal}"
        )
    if part.insertion == "over_time" and "tokens" in backbone.refused:
        raise UserError(
            f"peft.insertion=over_time: the attention of {backbone.name} cannot read frames in the place of patches, for"
            f" {backbone.refused['tokens']}"
        )
    return ports


def gate_port(resolved: Resolved, backbone: Backbone, site: Site, ports: Ports) -> tuple[Port | None, int]:
    """What the gate of a site reads if it is not what the site reads, and its width: with scaling.reads=sublayer what the
    attention or the FFN around a linear layer takes, if one is around it."""
    around = [
        name
        for name, members in MEMBERS.items()
        if site.position in (name, *members) and Site(site.block, name) in backbone.places
    ]
    if resolved.scaling.options.get("reads") != "sublayer" or not around:
        return None, ports.num_in
    place = backbone.place(Site(site.block, around[0]))
    return (None if place.input == ports.reads else place.input), place.num_in


def view_of(part: Part, backbone: Backbone, site: Site, shared: nn.Module | None = None) -> View:
    """A site as its delta sees it."""
    ports = ports_at(part, backbone, site)
    weight = _weight(backbone, ports)
    words = words_at(backbone, part)
    tower = next((tower for tower in backbone.towers if site in tower.places), backbone)
    first = min(other.block for other in tower.places)
    entry = None if tower.entry is None else backbone.model.get_submodule(tower.entry)
    return View(
        ports.num_in,
        ports.num_out,
        backbone.num_heads(site.block),
        weight,
        shared,
        words,
        site.position,
        site.block - first,
        entry,
        backbone.prefix_at(site),
    )


def shared_of(part: Part, backbone: Backbone, cells: Cells, seed: int) -> nn.Module | None:
    """The module that all sites of a part use, if its form asks for one; its stream is that of the part."""
    form: Any = part.form.function
    if not cells or not issubclass(form, Sharing):
        return None
    views = [view_of(part, backbone, site) for site in cells]
    widths = [options_at(part, own)[str(part.width_key)] for own in cells.values()]
    return form.share(views, generator(seed, "delta", "shared", part.name), width=max(widths))


def options_at(part: Part, own: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the form at a site: the part's, and what the site has of its own."""
    return {**part.form.options, **{key: value for key, value in own.items() if key != "scale"}}


def _weight(backbone: Backbone, ports: Ports) -> Tensor | None:
    module = backbone.model.get_submodule(ports.writes.module)
    is_beside = ports.reads == Port(ports.writes.module, "in") and ports.writes.side == "out"
    if not isinstance(module, nn.Linear) or not is_beside:
        return None
    index, count = ports.writes.slice
    return plain(module.weight).detach().chunk(count)[index]
