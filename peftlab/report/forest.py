"""forest.png: cells that one key tells apart, such as `peft`, in rows with their intervals beside the baseline."""

from math import isfinite
from pathlib import Path

from peftlab.report.cell import Cell, metrics_of, num_seeds, varying
from peftlab.report.family import HEAD_ALONE, family, order
from peftlab.report.markdown import trained

MOST = 80  # rows that a page holds


def forest(folder: Path, cells: list[Cell], baseline: Cell, seeds: bool) -> list[Path]:
    """PNG and SVG of the first and the last headline metric where every cell has another value of one key.

    Methods stand by family. The line is at the head alone if it is among them, else at the baseline.
    """
    key = _key(cells)
    cells = [cell for cell in cells if key is not None and key in cell.choices and cell.count["ok"]]
    if key is None or len(cells) < 2 or len(cells) > MOST:
        return []
    from peftlab.figure.forest import Row, Words, draw_forest

    metrics = metrics_of(cells)
    shown = metrics[:1] + metrics[1:][-1:]
    if key == "peft":
        cells = sorted(cells, key=lambda cell: order(cell.choices[key]))
    rows = [
        Row(
            cell.choices[key],
            family(cell.choices[key]) if key == "peft" else "",
            tuple(_scaled(cell.interval(metric.name, seeds), metric.factor) for metric in shown),
            f"{trained(cell):,.0f}" if isfinite(trained(cell)) else "",
        )
        for cell in cells
    ]
    names = [row.name for row in rows]
    alone = HEAD_ALONE if key == "peft" and HEAD_ALONE in names else baseline.choices.get(key)
    over = (
        f"mean over {num_seeds(cells)} seeds, 95 % interval" if seeds else "one run each, 95 % score interval"
    )
    note = f"dashed line: {'the head alone' if alone == HEAD_ALONE else alone}" if alone in names else ""
    words = Words(f"{key}: {over}", tuple(metric.words for metric in shown), "trained", note)
    path = folder / "forest.png"
    return draw_forest(rows, alone, words, path, path.with_suffix(".svg"))


def _key(cells: list[Cell]) -> str | None:
    """`peft`, or else the first key, whose values are all different: another key may follow it, as its learning rate."""
    known = [cell.choices for cell in cells if cell.choices]
    keys = varying(cells)
    for key in sorted(keys, key=lambda key: key != "peft"):
        values = [choices.get(key) for choices in known]
        if None not in values and len(set(values)) == len(values):
            return key
    return None


def _scaled(bounds: tuple[float, float, float], factor: int) -> tuple[float, float, float]:
    value, low, high = bounds
    return factor * value, factor * low, factor * high
