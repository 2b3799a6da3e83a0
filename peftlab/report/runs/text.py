"""What `peftlab-runs` prints: plain text, CSV or JSON. A name that somebody chose cannot steer a terminal."""

from datetime import datetime, timedelta
from typing import Any

from peftlab.inputs.plain import plain
from peftlab.record.json_file import json_text
from peftlab.record.table import table_text
from peftlab.report.runs.row import Row

MAX_DATE = 2**32  # seconds, in 2106: what is later is no date
EXACT = ("run", "sweep", "error", "state", "varies", "best")


def list_text(rows: list[Row], names: list[str]) -> str:
    """A table: numbers to the right, the last column as long as it is."""
    lines = [names, *([shown(name, row.values.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [
        name not in EXACT and all(isinstance(row.values.get(name), int | float | None) for row in rows)
        for name in names
    ]
    return "".join(
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, right, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


def list_csv(rows: list[Row], names: list[str]) -> str:
    """The same as CSV, with all digits."""
    return table_text([names, *([row.values.get(name) for name in names] for row in rows)], line_end="\n")


def list_json(rows: list[Row]) -> str:
    """All values of every row, and its folder."""
    return json_text([{"folder": str(row.folder), **row.values} for row in rows], indent=1)


def show_text(row: Row) -> str:
    """All that the records of one run say, a line each."""
    pairs = [("folder", str(row.folder)), *row.values.items()]
    pairs += [(f"parameters.{key}", value) for key, value in (row.result.get("num_parameters") or {}).items()]
    pairs += [(f"identity.{key}", value) for key, value in (row.result.get("identity") or {}).items()]
    pairs += [(key, row.result.get(key)) for key in ("run_id", "diverged_at", "transform")]
    versions = row.result.get("versions")
    pairs += [
        (f"versions.{key}", value) for key, value in (versions if isinstance(versions, dict) else {}).items()
    ]
    known = [(name, shown(name, value)) for name, value in pairs if value is not None]
    width = max(len(name) for name, _ in known)
    lines = [f"{plain(name).ljust(width)}  {value}\n" for name, value in known]
    trace = row.status.get("traceback")
    return "".join(lines) + ("".join(f"{plain(line)}\n" for line in str(trace).splitlines()) if trace else "")


def shown(name: str, value: Any) -> str:
    """A value in a table: metrics with one digit, times as times, dates by the local clock."""
    if value is None:
        return ""
    if name == "wall_s" and isinstance(value, int | float):
        return str(timedelta(seconds=round(value)))
    if name == "started" and isinstance(value, int | float) and 0 <= value < MAX_DATE:
        return f"{datetime.fromtimestamp(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float) and name != "alpha":
        return f"{value:.1f}" if abs(value) >= 1 else f"{value:.4g}"
    return plain(str(value))
