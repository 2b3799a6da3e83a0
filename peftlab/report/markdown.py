"""table.md: what a sweep measured, as a table that a document can take in."""

import re
from math import isfinite, nan
from pathlib import Path
from statistics import fmean, median

from peftlab.config.summary import num_trained
from peftlab.inputs.plain import plain
from peftlab.record.whole_file import renew
from peftlab.report.cell import Cell, metrics_of, varying
from peftlab.report.metric import Metric

COSTS = ("trained", "step ms", "MiB")


def write_markdown(folder: Path, cells: list[Cell], seeds: bool) -> Path:
    """One row per cell: trained parameters without the head, headline metrics with their 95 % intervals, costs.

    With several seeds an interval is that over runs (mean ± half), its variance from all cells; else the score interval over
    test items (low-high).
    Step time and memory are medians over the cell's runs.
    """
    keys, metrics = varying(cells), metrics_of(cells)
    names = [metric.label for metric in metrics]
    heads = [*(inert(key.rpartition(".")[2] or key) for key in keys), COSTS[0], *names, "n", *COSTS[1:]]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(keys) + "---:|" * (len(heads) - len(keys))]
    for cell in cells:
        words = [*(inert(cell.choices.get(key, "")) for key in keys), _count(trained(cell))]
        words += [_estimate(cell, metric, seeds) for metric in metrics]
        words += [
            str(cell.count["ok"]),
            _number(1000 * median_of(cell, "step_s")),
            _number(median_of(cell, "memory_mib")),
        ]
        lines.append("| " + " | ".join(words) + " |")
    return renew(folder / "table.md", "\n".join(lines) + "\n")


def inert(text: str) -> str:
    """A word that neither ends a cell nor becomes HTML, a link, a picture or a formula."""
    shown = plain(text).replace("&", "&amp;").replace(">", "&gt;")
    shown = re.sub(r"<(?![\d ])", "&lt;", shown)  # `<0.0001` is no tag
    return re.sub(r"([|`$*\[\]])", r"\\\1", shown)


def trained(cell: Cell) -> float:
    """Parameters that a cell's runs train beside the head; NaN if none is recorded."""
    counts = [
        job.result["num_parameters"]
        for job in cell.jobs
        if isinstance(job.result.get("num_parameters"), dict)
    ]
    return fmean(map(num_trained, counts)) if counts else nan


def _estimate(cell: Cell, metric: Metric, seeds: bool) -> str:
    is_lost = cell.count["diverged"] and not cell.count["ok"]
    return cell.estimate(metric, seeds, "({}-{})") or ("diverged" if is_lost else "")


def median_of(cell: Cell, key: str) -> float:
    """The median of a number of the records of a cell's runs; NaN if none has it."""
    values = [job.result.get(key) for job in cell.jobs]
    found = [float(value) for value in values if isinstance(value, int | float)]
    return median(found) if found else nan


def _count(value: float) -> str:
    return f"{value:,.0f}" if isfinite(value) else ""


def _number(value: float) -> str:
    return f"{value:.0f}" if isfinite(value) else ""
