"""table.md: what a sweep measured, as a table that a document can take in."""

from math import isfinite, nan
from pathlib import Path
from statistics import fmean, median

from peftlab.inputs.plain import plain
from peftlab.record.whole_file import renew
from peftlab.report.cell import METRICS, Cell, varying

COSTS = ("trained", "step ms", "MiB")


def write_markdown(folder: Path, cells: list[Cell], seeds: bool) -> Path:
    """One row per cell: trained parameters without the head, accuracies in % with their 95 % intervals, costs.

    With several seeds an interval is Student's t over runs (mean ± half), else Wilson's over test items (low-high).
    Step time and memory are medians over the cell's runs.
    """
    keys = varying(cells)
    names = [metric.removesuffix("_acc") for metric in METRICS]
    heads = [*(key.rpartition(".")[2] or key for key in keys), COSTS[0], *names, "n", *COSTS[1:]]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(keys) + "---:|" * (len(heads) - len(keys))]
    for cell in cells:
        words = [*(_inert(cell.choices.get(key, "")) for key in keys), _count(trained(cell))]
        words += [_accuracy(cell, metric, seeds) for metric in METRICS]
        words += [
            str(cell.count["ok"]),
            _number(1000 * _median(cell, "step_s")),
            _number(_median(cell, "memory_mib")),
        ]
        lines.append("| " + " | ".join(words) + " |")
    return renew(folder / "table.md", "\n".join(lines) + "\n")


def _inert(text: str) -> str:
    """A word that neither ends a cell nor becomes HTML."""
    shown = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("|", "\\|").replace("`", "\\`")


def trained(cell: Cell) -> float:
    """Parameters that a cell's runs train beside the head; NaN if none is recorded."""
    counts = [
        job.result["num_parameters"]
        for job in cell.jobs
        if isinstance(job.result.get("num_parameters"), dict)
    ]
    own = [sum(v for k, v in count.items() if k not in ("backbone", "head")) for count in counts]
    return fmean(own) if own else nan


def _accuracy(cell: Cell, metric: str, seeds: bool) -> str:
    value, low, high = cell.interval(metric, seeds)
    if not isfinite(value):
        return ""
    if not isfinite(low + high):
        return f"{100 * value:.1f}"
    if cell.is_mean(seeds):
        return f"{100 * value:.1f} ± {50 * (high - low):.1f}"
    return f"{100 * value:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _median(cell: Cell, key: str) -> float:
    values = [job.result.get(key) for job in cell.jobs]
    found = [float(value) for value in values if isinstance(value, int | float)]
    return median(found) if found else nan


def _count(value: float) -> str:
    return f"{value:,.0f}" if isfinite(value) else ""


def _number(value: float) -> str:
    return f"{value:.0f}" if isfinite(value) else ""
