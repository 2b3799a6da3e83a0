"""What a person sees of one run: the placement table, the parameter counts, the result. Text only, no decisions."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from peftlab.inputs.plain import plain
from peftlab.site import POSITIONS

console = Console(stderr=False, highlight=False, markup=False)  # names hold brackets
FIXED_WIDTH = 25  # of a placement table: the columns position and multiplier of gamma, and the last line


def show_placement(sites: list[dict[str, Any]], labels: Sequence[str]) -> None:
    """Rows are positions, columns are blocks, a cell is the width (rank, bottleneck) of the delta there.

    Blocks that do not fit the width of the terminal, or of a file, stand in tables of their own below.
    """
    if not sites:
        return
    positions = [name for name in POSITIONS if any(site["position"] == name for site in sites)]
    width = {(site["position"], site["block"]): str(site["width"]) for site in sites}
    columns = [
        [label, *(width.get((name, block), ".") for name in positions)] for block, label in enumerate(labels)
    ]
    title = f"placement: {len(sites)} sites, cells show the width of delta"
    for part in _fitting([max(map(len, column)) for column in columns], console.width - FIXED_WIDTH):
        table = Table(title=title, title_justify="left")
        table.add_column("position", no_wrap=True)
        for block in part:
            table.add_column(labels[block], justify="right", no_wrap=True)
        table.add_column("multiplier of gamma", justify="right")
        for row, name in enumerate(positions, start=1):
            own = (columns[block][row] for block in part)
            table.add_row(name, *own, _factors(site for site in sites if site["position"] == name))
        console.print(table)
        title = f"blocks {labels[part[-1] + 1]} and above" if part[-1] + 1 < len(labels) else ""


def _fitting(widths: Sequence[int], room: int) -> list[list[int]]:
    """The columns in order, as many side by side as there is room for with their lines."""
    parts: list[list[int]] = [[]]
    for column, width in enumerate(widths):
        taken = sum(widths[other] + 3 for other in parts[-1])
        if parts[-1] and taken + width + 3 > room:
            parts.append([])
        parts[-1].append(column)
    return parts


def _factors(sites: Iterable[dict[str, Any]]) -> str:
    factors = sorted({site["multiplier"] for site in sites})
    return f"{factors[0]:.4g}" + (f" to {factors[-1]:.4g}" if len(factors) > 1 else "")


def show_counts(counts: dict[str, int], num_frozen: int) -> None:
    """Trainable parameters by owner, apart from each other."""
    parts = ", ".join(f"{name} {number:,}" for name, number in counts.items())
    share = 100 * sum(counts.values()) / max(1, num_frozen)
    console.print(
        f"trainable parameters: {parts}; frozen backbone {num_frozen:,} ({share:.2f} % of it is trained)"
    )


def show_line(name: str, text: str) -> None:
    """One named fact."""
    console.print(Text.assemble((plain(name), "bold"), f": {plain(text)}"), soft_wrap=True)


def progress() -> Progress:
    """A bar with the loss and the time left; it redraws only on a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=4,
    )


def show_result(name: str, table: list[list[str]], line: str) -> None:
    """The test result as its task puts it: a table, and a line below it."""
    shown = Table(title=plain(f"test result of {name}"), title_justify="left")
    for column in table[0]:
        shown.add_column(column, justify="left" if not column else "right")
    for row in table[1:]:
        shown.add_row(*row)
    console.print(shown)
    console.print(line)
