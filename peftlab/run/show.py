"""What a person sees of one run: the placement table, the parameter counts, the result. Text only, no decisions."""

import math
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

from peftlab.site import POSITIONS

console = Console(stderr=False, highlight=False)
GROUPS = ("mean", "head", "medium", "tail")


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


def show_counts(counts: dict[str, int]) -> None:
    """Trainable parameters by owner, apart from each other."""
    trained = sum(number for name, number in counts.items() if name != "backbone")
    parts = ", ".join(f"{name} {number:,}" for name, number in counts.items() if name != "backbone")
    share = 100 * trained / max(1, counts["backbone"])
    console.print(
        f"trainable parameters: {parts}; frozen backbone {counts['backbone']:,} ({share:.2f} % of it is trained)"
    )


def show_line(name: str, text: str) -> None:
    """One named fact."""
    console.print(f"[bold]{name}[/bold]: {text}", soft_wrap=True)


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


def show_result(name: str, metrics: dict[str, float], wall_s: float, memory_mib: float) -> None:
    """Test accuracy of all classes and of head, medium and tail, each with its interval and number of images."""
    table = Table(title=f"test result of {name}", title_justify="left")
    for column in ("", "accuracy %", "95 % interval", "images"):
        table.add_column(column, justify="left" if not column else "right")
    for group in GROUPS:
        value, low, high = (metrics[f"test/{group}_acc{end}"] for end in ("", "_low", "_high"))
        if math.isnan(value):
            table.add_row(group, "no class", "", "0")
        else:
            table.add_row(
                group,
                f"{100 * value:.1f}",
                f"{100 * low:.1f} - {100 * high:.1f}",
                f"{metrics[f'test/{group}_num']:.0f}",
            )
    console.print(table)
    others = ("micro_acc", "macro_f1", "worst_acc", "harmonic_acc", "geometric_acc")
    console.print("  ".join(f"{key} {100 * metrics[f'test/{key}']:.1f}" for key in others))
    console.print(f"time {wall_s:.1f} s, peak memory {memory_mib:.0f} MiB")
