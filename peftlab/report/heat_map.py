"""heatmap.png: mean and tail accuracy over block depth x position."""

import hashlib
import re
from math import inf, nan
from pathlib import Path

from peftlab.report.cell import Cell, varying
from peftlab.site import POSITIONS

MARKS = {"diverged": "div", "failed": "fail", "interrupted": "int", "running": "run"}
DEPTH, POSITION = "placement.depth", "placement.position"


def heat_maps(folder: Path, cells: list[Cell]) -> list[Path]:
    """heatmap.png when depth x position was swept; a picture for each combination of further choices."""
    by_rest: dict[str, list[Cell]] = {}
    keys = [key for key in sorted(varying(cells)) if key not in (DEPTH, POSITION)]
    for cell in cells:
        if {DEPTH, POSITION} <= cell.choices.keys():
            by_rest.setdefault(cell.label(keys), []).append(cell)
    if max(map(len, by_rest.values()), default=0) < 2:
        return []
    files = []
    for rest, part in by_rest.items():
        name = re.sub(r"[^\w.=+-]+", "_", rest)[:80] + "-" + hashlib.sha256(rest.encode()).hexdigest()[:6]
        path = folder / (f"heatmap-{name}.png" if len(by_rest) > 1 else "heatmap.png")
        files.append(_heat_map(path, part, rest))
    return files


def _heat_map(path: Path, cells: list[Cell], rest: str) -> Path:
    import numpy as np  # drawing is for the end of a sweep, not for every start

    from peftlab.figure.heat_map import Panel, Words, heat_map

    rows, columns, grid = heat_grid(cells)
    panels = []
    for metric in ("mean_acc", "tail_acc"):
        value = [[100 * cell.mean(metric).mean if cell else nan for cell in line] for line in grid]
        text = [[_mark(cell, metric) if cell else None for cell in line] for line in grid]
        title = f"{metric.removesuffix('_acc')} accuracy (test, %)"
        panels.append(Panel(title, np.array(value), text, form=".1f"))
    num = {cell.count["ok"] for cell in cells if cell.count["ok"]} or {0}
    seeds = f"seeds per cell: n = {min(num)}" + (f"-{max(num)}" if len(num) > 1 else "")
    title = ", ".join(part for part in ("Placement grid", rest, seeds) if part)
    return heat_map(panels, rows, columns, path, Words(title, "position", "block depth"))


def heat_grid(cells: list[Cell]) -> tuple[list[str], list[str], list[list[Cell | None]]]:
    """Positions (rows, canonical order), depths (columns, by first block), the cell at each crossing."""
    at = {(cell.choices[POSITION], cell.choices[DEPTH]): cell for cell in cells}
    rank = {position: i for i, position in enumerate(POSITIONS)}
    rows = sorted(dict.fromkeys(row for row, _ in at), key=lambda row: rank.get(row, len(rank)))
    columns = sorted(dict.fromkeys(column for _, column in at), key=lambda column: _span(column, cells))
    return rows, columns, [[at.get((row, column)) for column in columns] for row in rows]


def _span(depth: str, cells: list[Cell]) -> tuple[float, float]:
    """First and last block of a depth: from the sites of its finished jobs, else from its text."""
    jobs = [job for cell in cells if cell.choices[DEPTH] == depth for job in cell.jobs]
    blocks = [float(site["block"]) for job in jobs for site in job.result.get("sites") or []]
    if not blocks:
        blocks = [float(number) for number in re.findall(r"\d+", depth)] or [inf]
        if depth.lstrip("[").startswith("-"):  # counted from the last block, which no record names
            blocks = [1e6 - block for block in blocks]
    return min(blocks), max(blocks)


def _mark(cell: Cell, metric: str) -> str | None:
    """What replaces a cell's plain value: `div`, `fail`, or `81.2` over `2/3` where a seed lacks."""
    if not cell.count["ok"]:
        return next((mark for state, mark in MARKS.items() if cell.count[state]), None)
    mean, _, n = cell.mean(metric)
    return f"{100 * mean:.1f}\n{n}/{len(cell.jobs)}" if 0 < n < len(cell.jobs) else None
