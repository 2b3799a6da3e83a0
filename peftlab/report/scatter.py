"""scatter.png: tail accuracy against the number of trained parameters."""

from math import isfinite
from pathlib import Path

from peftlab.report.cell import Cell, varying
from peftlab.report.markdown import trained


def scatter(folder: Path, cells: list[Cell], seeds: bool) -> list[Path]:
    """A point per cell with its 95 % interval, if cells train different numbers of parameters beside the head."""
    keys = [key for key in varying(cells) if key != "optim.lr"]
    points = [
        (
            cell.choices["peft"] if "peft" in keys and "peft" in cell.choices else cell.label(keys),
            trained(cell),
            *cell.interval("tail_acc", seeds),
        )
        for cell in cells
    ]
    points = [point for point in points if isfinite(point[1]) and isfinite(point[2])]
    if len({round(point[1]) for point in points}) < 2:
        return []
    from peftlab.figure.scatter import Point, scatter_plot

    path = folder / "scatter.png"
    num = {cell.count["ok"] for cell in cells if cell.count["ok"]} or {0}
    runs = f"n = {min(num)}" + (f"-{max(num)}" if len(num) > 1 else "")
    over = f"mean over {runs} seeds" if seeds else "one run, Wilson interval over test items"
    return [
        scatter_plot(
            [Point(name, x, 100 * y, 100 * low, 100 * high) for name, x, y, low, high in points],
            path,
            title=f"tail accuracy against trained parameters ({over})",
            x_label="trained parameters, head aside; sizes within 10 % stand side by side",
            y_label="tail accuracy (test, %)",
        )
    ]
