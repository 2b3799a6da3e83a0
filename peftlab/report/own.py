"""Which files of a folder a report may write over: those that a report wrote."""

from pathlib import Path

from peftlab.errors import UserError

# how the first line of each begins or ends; pictures have none, and are ours where the table of the jobs is
FIRST = {
    "sweep.csv": lambda line: line.startswith("job,") and ",state," in f"{line},",
    "cells.csv": lambda line: ",num_ok," in line,
    "race.json": lambda line: line == "{",
    "race.md": lambda line: line == "# Race",
    "statistics.md": lambda line: line == "# Statistics of the grid",
    "table.md": lambda line: line.startswith("|") and line.endswith("| n | step ms | MiB |"),
}
PICTURES = ("heatmap*.png", "heatmap*.svg", "scatter*.png", "scatter*.svg", "forest*.png", "forest*.svg")


def check_own(folder: Path) -> None:
    """That nothing in the folder would be written over that no report wrote.

    Raises:
        UserError: naming the file.
    """
    strange = [name for name in FIRST if (folder / name).exists() and not _is_own(folder / name)]
    if not (folder / "sweep.csv").exists():
        strange += [path.name for pattern in PICTURES for path in sorted(folder.glob(pattern))]
    if strange:
        raise UserError(
            f"{folder / strange[0]} is not of a sweep's report, so it is not written over; legal: move it elsewhere"
        )


def _is_own(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return FIRST[path.name](file.readline(100_000).rstrip("\r\n"))
    except (OSError, ValueError):
        return False
