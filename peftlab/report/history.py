"""The rows of a run's metrics.jsonl, as far as they can be read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peftlab.record.rows import FILE


def history(folder: Path) -> Iterator[dict[str, Any]]:
    """One row after the other; none of a folder without the file, and none of a line that a kill cut short."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
