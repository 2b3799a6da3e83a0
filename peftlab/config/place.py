"""From the placement to the sites of every part of the method, without importing torch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from peftlab.config.resolved import Resolved
from peftlab.config.schema import PART
from peftlab.config.signature import misfit, signature, yaml_text
from peftlab.errors import UserError
from peftlab.peft.part import Part
from peftlab.placement.depth import block_labels, parse_depth
from peftlab.placement.ground import Cells, Ground, Placement, Scorer
from peftlab.site import OF_TWO_TOWERS, POSITIONS, Site, parse_site, site_order

TOWERS = ("image.", "text.")  # how blocks of a network of two are called


@dataclass(frozen=True)
class Placed:
    """The sites of every part, by its name, and what the placement thought of every candidate (if it scores them)."""

    parts: dict[str, Cells]
    scores: dict[Site, float] = field(default_factory=dict)
    is_open: bool = False  # not chosen yet, for want of a scorer

    @property
    def sites(self) -> set[Site]:
        """Of all parts."""
        return {site for cells in self.parts.values() for site in cells}


def saved_places(cells: Mapping[str, Mapping[str, Any]]) -> Placed:
    """The sites that the card of an adapter names."""
    return Placed(
        {name: {parse_site(site): options for site, options in own.items()} for name, own in cells.items()}
    )


def place(
    resolved: Resolved,
    labels: Sequence[str],
    positions: Sequence[str],
    scorer: Scorer | None = None,
    *,
    is_known: bool = True,
    places: Collection[Site] | None = None,
) -> Placed:
    """The cells of the placement in every part of the method.

    labels: the blocks from the bottom. positions: those that the backbone has. scorer: what selectors ask (None before
    there is a network: they then name all candidates). is_known: whether the labels are the backbone's own. places: the sites
    that it has (None: every position in every block).

    Raises:
        UserError: for a site that no part can take, that two deltas claim, or if none is left.
    """
    parts = resolved.parts
    if not any(part.positions for part in parts):
        return Placed({part.name: {} for part in parts})
    if is_known and not labels[0].startswith(TOWERS):
        _check_one_tower(resolved)
    domains = {part.name: _domain(part, labels, positions, places) for part in parts}
    if resolved.tower != "both" and labels[0].startswith(TOWERS):
        domains = {name: _of_tower(sites, labels, resolved.tower) for name, sites in domains.items()}
    legal = [
        name for name in POSITIONS if any(name in part.positions for part in parts) and name in positions
    ]
    candidates = sorted({site for sites in domains.values() for site in sites}, key=site_order)
    found: Placement = resolved.placement(Ground(labels, legal, candidates, scorer, resolved.tower))
    placed = {
        name: {site: options for site, options in found.cells.items() if site in sites}
        for name, sites in domains.items()
    }
    if places is not None:
        _check_there(found.cells, labels, legal, places, resolved)
    if is_known:
        _check_domains(found.cells, placed, parts, resolved.placement.word)
    return Placed(placed, found.scores, found.is_open)


def below(resolved: Resolved) -> float:
    """The share of the blocks below the first site, as far as the config says it; 0 without sites."""
    depth = resolved.backbone.options["depth"]
    labels = block_labels(depth)
    placed = place(resolved, labels, POSITIONS, is_known=depth is not None)
    return min((site.block for site in placed.sites), default=0) / len(labels)


def check_cells(placed: Placed, parts: Sequence[Part]) -> None:
    """Options of single sites must be options of the method, or `scale`.

    Raises:
        UserError: naming the site, the option and the legal ones.
    """
    for part in parts:
        for site, options in placed.parts[part.name].items():
            for key, value in options.items():
                _check_option(part, site, key, value)


def _check_option(part: Part, site: Site, key: str, value: Any) -> None:
    legal = signature(part.form.target).keys
    names = [] if part.is_selection else [*legal, *(["scale"] if part.scale is not None else [])]
    if key not in names:
        raise UserError(
            f"placement.cells: {site} has the option {key}={value}; legal: {', '.join(names) or 'none'}"
        )
    kind = legal[key] if key in legal else signature(PART).keys["scale"]
    wrong = "a number above 0" if key == "scale" and value is None else misfit(value, *kind)
    if wrong is not None:
        raise UserError(f"placement.cells: {site} has {key}={yaml_text(value)}; legal: {wrong}")


def _domain(
    part: Part, labels: Sequence[str], positions: Sequence[str], places: Collection[Site] | None
) -> set[Site]:
    if not any(name in positions for name in part.positions):
        return set()
    blocks = parse_depth(part.depth, labels, key=f"{part.path}.depth")
    sites = {Site(block, name) for block in blocks for name in part.positions if name in positions}
    if part.insertion == "coupled":
        sites = _coupled(sites, labels)
    return sites if places is None else sites & set(places)


def _coupled(sites: set[Site], labels: Sequence[str]) -> set[Site]:
    """Prompts of images and contexts of texts, in the blocks that are chosen in both towers."""
    wanted = {"tokens": TOWERS[0], "context": TOWERS[1]}
    own = {site for site in sites if labels[site.block].startswith(wanted[site.position])}
    chosen = [
        {labels[site.block].removeprefix(tower) for site in own if site.position == word}
        for word, tower in wanted.items()
    ]
    both = chosen[0] & chosen[1]
    return {site for site in own if labels[site.block].partition(".")[2] in both}


def _of_tower(sites: set[Site], labels: Sequence[str], tower: str) -> set[Site]:
    return {site for site in sites if labels[site.block].startswith(f"{tower}.")}


def _check_one_tower(resolved: Resolved) -> None:
    """Nothing is asked that a backbone of two towers alone has."""
    two = "a backbone of two, as backbone=duo with task=contrast"
    if resolved.tower != "both":
        raise UserError(
            f"placement.tower={resolved.tower}, but the backbone has one tower; legal: both, or {two}"
        )
    for part in resolved.parts:
        where = next((OF_TWO_TOWERS[name] for name in part.positions if name in OF_TWO_TOWERS), None)
        if where is not None:
            raise UserError(
                f"peft: {part.form.word} acts at {where}, and the backbone has one tower; legal: {two}"
            )


def _check_there(
    cells: Cells, labels: Sequence[str], legal: Sequence[str], places: Collection[Site], resolved: Resolved
) -> None:
    """Every site is there; of a grid each position that it names in one block at least, and of `all` one."""
    lost = [site for site in cells if site not in places]
    if resolved.placement.word == "grid":
        there = {site.position for site in cells if site in places}
        named = resolved.placement.options["position"]
        is_all = bool(there) and "all" in ([named] if isinstance(named, str) else named)
        lost = [] if is_all else [site for site in lost if site.position not in there]
    for block, name in lost:
        own = [other for other in legal if Site(block, other) in places]
        raise UserError(
            f"placement: block {labels[block]} has no {name}; legal there: {', '.join(own) or 'none of the method'}"
        )


def _check_domains(cells: Cells, placed: dict[str, Cells], parts: Sequence[Part], placement: str) -> None:
    owner: dict[Site, str] = {}
    for part in parts:
        for site in () if part.is_selection else placed[part.name]:
            if site in owner:
                raise UserError(
                    f"{part.path} and peft.parts.{owner[site]} both have a delta at {site}; a site has one gamma, so one"
                    " delta: change positions or depth of one of them"
                )
            owner[site] = part.name
    taken = {site for own in placed.values() for site in own}
    lost = [site for site in cells if site not in taken]
    if not taken or (lost and placement != "grid"):
        where = ", ".join(f"{'' if part.name == 'peft' else part.name + ' '}{part.depth}" for part in parts)
        raise UserError(
            f"placement: {lost[0] if lost else 'nothing'} is outside the blocks of the method (peft depth: {where});"
            " change peft.depth, or place it there"
        )
