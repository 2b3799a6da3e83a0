"""Section: gamma over block and position, and how it came there."""

import re
from collections.abc import Iterator
from functools import partial
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from peftlab.record.table import read_rows
from peftlab.report.cell import Cell
from peftlab.report.history import history
from peftlab.report.job import number as number_of
from peftlab.report.page.parts import Column, Drawing, Entry, Section, Table, number, words
from peftlab.report.page.study import Study
from peftlab.site import POSITIONS, Site

if TYPE_CHECKING:
    from peftlab.figure.curves import Curve

FILE = "gamma.csv"
SHOWN = 4  # cells in a picture
LINES = 12  # sites of a cell that have a line each; of more, a band for each position
PREFIX = re.compile(r"(?:outer/)?gamma/(.+)")
UNKNOWN = (
    "γ alone is not identified, since γ and B of a site are one function with cγ and B/c: compare the share ‖γΔ‖/‖f‖ of what a site"
    " adds to what it adds to."
)


class Learned(NamedTuple):
    """A cell with learned gammas: each site's gamma and share, by run."""

    cell: Cell
    gamma: dict[Site, list[float]]
    share: dict[Site, list[float]]


def section(study: Study) -> Section | None:
    """Maps and trajectories of the best cells that learn gamma, and a row for each cell that does."""
    found = [one for cell in study.ranked(study.metrics[0]) if (one := _learned(cell)).gamma]
    if not found:
        return None
    shown = found[:SHOWN]
    names = ", ".join(study.name(one.cell) for one in shown)
    drawings = [
        Drawing(
            "gamma-maps", f"Learned gamma over block and position: {names}", partial(_map, study, shown, "γ")
        ),
        Drawing(
            "gamma-share",
            f"Share of what a site adds, ‖γΔ‖/‖f‖: {names}",
            partial(_map, study, shown, "‖γΔ‖/‖f‖"),
        ),
    ]
    if any(_paths(one.cell) for one in shown):
        title = f"Gamma over the epochs of training: {names}"
        drawings.append(Drawing("gamma-epochs", title, partial(_trajectories, study, shown)))
    which = (
        f"the {SHOWN} best of {len(found)} cells that learn γ"
        if len(found) > SHOWN
        else "all cells that learn γ"
    )
    sentences = [
        *_extremes(study, found[0]),
        UNKNOWN,
        f"The pictures show {which}, as means over their runs.",
    ]
    return Section("gamma", "Gamma", sentences, [_table(study, found)], drawings)


def _learned(cell: Cell) -> Learned:
    found = Learned(cell, {}, {})
    for job in cell.jobs:
        for row in read_rows(job.folder / FILE) if job.state == "ok" else []:
            try:
                site = Site(int(row["block"]), row["position"])
                gamma, share = float(row["gamma"]), float(row["ratio"])
            except (KeyError, TypeError, ValueError):
                continue
            found.gamma.setdefault(site, []).append(gamma)
            found.share.setdefault(site, []).append(share)
    return found


def _extremes(study: Study, best: Learned) -> Iterator[str]:
    """The lowest and the highest gamma of the best cell, if it has several sites."""
    mean = {site: fmean(values) for site, values in best.gamma.items() if isfinite(fmean(values))}
    if len(mean) > 1:
        low, high = min(mean, key=lambda site: mean[site]), max(mean, key=lambda site: mean[site])
        yield (
            f"**{study.name(best.cell)}**, the best cell that learns γ: from {mean[low]:.3g} at {low} to {mean[high]:.3g} at {high}"
            f" over {len(mean)} sites (means over {_runs(best)} runs)."
        )


def _runs(one: Learned) -> int:
    return max(map(len, one.gamma.values()))


def _table(study: Study, found: list[Learned]) -> Table:
    columns = [
        *(Column(study.short[key], is_number=False) for key in study.keys),
        *(Column(name) for name in ("runs", "sites", "γ, mean", "γ, lowest")),
        Column("lowest at", is_number=False),
        Column("γ, highest"),
        Column("highest at", is_number=False),
        Column("share, mean"),
    ]
    note = "Lowest and highest of the means over runs. share: ‖γΔ‖/‖f‖ on training items."
    return Table("gamma", "Learned gamma by cell", columns, [_row(study, one) for one in found], note)


def _row(study: Study, one: Learned) -> list[Entry]:
    mean = {site: fmean(values) for site, values in one.gamma.items()}
    share = [value for values in one.share.values() for value in values if isfinite(value)]
    known = {site: value for site, value in mean.items() if isfinite(value)} or {Site(0, ""): nan}
    low, high = min(known, key=lambda site: known[site]), max(known, key=lambda site: known[site])
    return [
        *(words(one.cell.choices.get(key, "")) for key in study.keys),
        number(_runs(one)),
        number(len(mean)),
        number(fmean(known.values()), ".3g"),
        number(known[low], ".3g"),
        words(str(low)),
        number(known[high], ".3g"),
        words(str(high)),
        number(fmean(share) if share else nan, ".2g"),
    ]


def _map(study: Study, shown: list[Learned], what: str, *paths: Path) -> list[Path]:
    import numpy as np

    from peftlab.figure.heat_map import Panel, Words, heat_map

    sites = {site for one in shown for site in one.gamma}
    positions = [name for name in POSITIONS if any(site.position == name for site in sites)]
    blocks = sorted({site.block for site in sites})
    every = [value for one in shown for value in _of(one, what).values() if isfinite(fmean(value))]
    ends = sorted(fmean(value) for value in every)
    limits = (ends[0], ends[-1]) if ends and ends[0] < ends[-1] else None
    panels = []
    for one in shown:
        grid = np.full((len(positions), len(blocks)), np.nan)
        tips = [["no site"] * len(blocks) for _ in positions]
        for site, values in _of(one, what).items():
            place = positions.index(site.position), blocks.index(site.block)
            grid[place] = fmean(values)
            tips[place[0]][place[1]] = _tip(site, values)
        panels.append(Panel(study.name(one.cell), grid, form=".2f", unit=what, tips=tips, limits=limits))
    title = "learned γ" if what == "γ" else "share of what a site adds, ‖γΔ‖/‖f‖"
    return heat_map(panels, positions, [*map(str, blocks)], Words(title, "position", "block"), *paths)


def _of(one: Learned, what: str) -> dict[Site, list[float]]:
    return one.gamma if what == "γ" else one.share


def _tip(site: Site, values: list[float]) -> str:
    ends = f" ({min(values):.3g} to {max(values):.3g} over {len(values)} runs)" if len(values) > 1 else ""
    return f"{site}: {fmean(values):.3g}{ends}"


def _paths(cell: Cell) -> dict[str, dict[float, float]]:
    """Group of gamma -> epoch -> its mean over the finished runs that have it."""
    found: dict[str, dict[float, list[float]]] = {}
    for job in cell.jobs:
        for row in history(job.folder) if job.state == "ok" else []:
            epoch = number_of(row.get("epoch"))
            for key, value in row.items():
                if (name := PREFIX.fullmatch(key)) and isfinite(epoch + number_of(value)):
                    found.setdefault(name.group(1), {}).setdefault(epoch, []).append(value)
    return {name: {epoch: fmean(values[epoch]) for epoch in sorted(values)} for name, values in found.items()}


def _trajectories(study: Study, shown: list[Learned], *paths: Path) -> list[Path]:
    from peftlab.figure.curves import Panel, Words, draw_curves

    found = {study.name(one.cell): lines for one in shown if (lines := _paths(one.cell))}
    positions = {_position(name) for lines in found.values() for name in lines} - {""}
    panels = [Panel(_curves(lines, len(positions) > 1), "epoch", "γ", name) for name, lines in found.items()]
    banded = any(len(lines) > LINES for lines in found.values())
    note = "a line a site, mean over runs"
    if banded:
        note = f"mean over runs; of more than {LINES} sites: their mean, lowest and highest at each position"
    legend = "position" if len(positions) > 1 else "site"
    return draw_curves(panels, Words("γ over training", legend, note), *paths)


def _curves(found: dict[str, dict[float, float]], several: bool) -> "list[Curve]":
    """A line for each group, or a band for each position of many; with several positions they have a colour each."""
    many, by_name = len(found) > LINES, dict[str, list[dict[float, float]]]()
    for name in sorted(found, key=_order):
        shown = (_position(name) or name) if several or many else name
        by_name.setdefault(shown, []).append(found[name])
    return [
        curve
        for name, lines in by_name.items()
        for curve in ([_band(name, lines)] if many else [_band(name, [line]) for line in lines])
    ]


def _band(name: str, lines: list[dict[float, float]]) -> "Curve":
    """The mean of these lines with their lowest and highest, which one line does not have."""
    import numpy as np

    from peftlab.figure.curves import Curve

    epochs = sorted(set.intersection(*map(set, lines)))
    values = np.array([[line[epoch] for epoch in epochs] for line in lines])
    low, high = (values.min(0), values.max(0)) if len(lines) > 1 else (np.full(len(epochs), nan),) * 2
    return Curve(name, np.array(epochs), values.mean(0), low, high, marked=False)


def _position(name: str) -> str:
    """`q` of the groups `3.q` and `q`; nothing of a block and of `all`."""
    last = name.rpartition(".")[2]
    return last if last in POSITIONS else ""


def _order(name: str) -> tuple[int, int]:
    block, position = name.partition(".")[0], _position(name)
    return POSITIONS.index(position) if position else -1, int(block) if block.isdecimal() else -1
