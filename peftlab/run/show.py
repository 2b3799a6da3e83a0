"""What a person sees of one run: the placement table, the parameter counts, the result. Text only, no decisions."""

from collections.abc import Sequence
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


def show_placement(sites: list[dict[str, Any]], labels: Sequence[str]) -> None:
    """Rows are positions, columns are blocks, a cell is the width (rank, bottleneck) of the delta there."""
    if not sites:
        return
    positions = [name for name in POSITIONS if any(site["position"] == name for site in sites)]
    table = Table(title=f"placement: {len(sites)} sites, cells show the width of delta", title_justify="left")
    table.add_column("position")
    for label in labels:
        table.add_column(label, justify="right")
    table.add_column("multiplier of gamma", justify="right")
    for position in positions:
        row = {site["block"]: site for site in sites if site["position"] == position}
        factors = sorted({site["multiplier"] for site in row.values()})
        text = f"{factors[0]:.4g}" + (f" to {factors[-1]:.4g}" if len(factors) > 1 else "")
        table.add_row(
            position,
            *(str(row[block]["width"]) if block in row else "." for block in range(len(labels))),
            text,
        )
    console.print(table)


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
