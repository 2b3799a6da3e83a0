"""scatter.png: the last headline metric, which is the tail's accuracy, against the number of trained parameters."""

from math import isfinite
from pathlib import Path

from peftlab.report.cell import Cell, metrics_of, num_seeds, varying
from peftlab.report.markdown import trained


def scatter(folder: Path, cells: list[Cell], seeds: bool) -> list[Path]:
    """A point per cell with its 95 % interval, if cells train different numbers of parameters beside the head."""
    keys, metric = [key for key in varying(cells) if key != "optim.lr"], metrics_of(cells)[-1]
    name = "peft" if "peft" in keys else ""
    sizes = {id(cell): trained(cell) for cell in cells}
    shown = [cell for cell in cells if isfinite(sizes[id(cell)] + cell.interval(metric.name, seeds)[0])]
    if len({round(sizes[id(cell)]) for cell in shown}) < 2:
        return []
    from peftlab.figure.scatter import Point, scatter_plot

    points = []
    for cell in shown:
        y, low, high = (metric.factor * bound for bound in cell.interval(metric.name, seeds))
        label = cell.choices.get(name) or cell.label(keys)
        points.append(Point(label, sizes[id(cell)], y, low, high))

    path = folder / "scatter.png"
    over = f"mean over {num_seeds(cells)} seeds" if seeds else "one run, score interval over test items"
    return scatter_plot(
        points,
        path,
        path.with_suffix(".svg"),
        title=f"{metric.label} against trained parameters ({over})",
        x_label="trained parameters, head aside; sizes within 10 % stand side by side",
        y_label=metric.words,
    )
