"""Two runs side by side: what differs in their configs, and their headline metrics with the difference."""

from pathlib import Path
from typing import Any

from peftlab.config.file import read_config
from peftlab.errors import UserError
from peftlab.report.runs.row import DAMAGED, Row, is_number, read_row
from peftlab.report.runs.text import shown
from peftlab.statistics.interval import is_clear, score_difference

LACKS = "-"


def compare(paths: list[Path]) -> dict[str, Any]:
    """`config`: key -> the two values, where they differ. `metrics`: name -> both values, the difference b - a and the
    ends of its 95 % interval, in the unit of lists. `paired`: whether both share seed and data.

    Raises: UserError for a folder that is no run's or has no results.
    """
    a, b = (_finished(path) for path in paths)
    first, second = (_leaves(read_config(path)) for path in paths)
    keys = [
        key for key in dict.fromkeys((*first, *second)) if first.get(key, LACKS) != second.get(key, LACKS)
    ]
    metrics = {}
    for metric in a.metrics:
        ends = [_bounds(row, metric.name) for row in (b, a)]
        if all(None not in bounds for bounds in ends):
            found = [metric.factor * value for value in score_difference(*ends)]
            metrics[metric.label] = [metric.factor * ends[1][0], metric.factor * ends[0][0], *found]
    return {
        "runs": [str(path) for path in paths],
        "config": {key: [first.get(key, LACKS), second.get(key, LACKS)] for key in keys},
        "metrics": metrics,
        "paired": _split(a) is not None and _split(a) == _split(b) and a.values["seed"] == b.values["seed"],
    }


def compare_text(found: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{side}: {shown('run', run)}" for side, run in zip("ab", found["runs"], strict=True)]
    lines += ["", "config:" if found["config"] else "config: the same"]
    lines += [
        f"  {shown('', key)}: {shown('run', str(a))} -> {shown('run', str(b))}"
        for key, (a, b) in found["config"].items()
    ]
    lines += ["", "metrics (a, b, b - a with its 95 % interval):"]
    for name, (a, b, value, low, high) in found["metrics"].items():
        mark = "" if is_clear((value, low, high)) else "  not significant"
        lines.append(f"  {name:<12} {a:6.1f} {b:6.1f} {value:+6.1f}  ({low:+.1f} to {high:+.1f}){mark}")
    same = "paired: same seed and same split, so the same test items, order of images and start of the head"
    apart = "not paired: another seed or other data, so chance is in the difference too"
    lines.append(same if found["paired"] else apart)
    lines.append(
        "the interval is Newcombe's, over test items as if they were not the same: rather too wide where paired"
    )
    return "\n".join(lines) + "\n"


def _finished(path: Path) -> Row:
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; legal: the folder of a run")
    row = read_row(path, path)
    if row.state == DAMAGED or not row.metrics:
        raise UserError(
            f"{path} has no results to compare ({row.values['error'] or row.state}); legal: a finished run"
        )
    return row


def _bounds(row: Row, name: str) -> tuple[Any, Any, Any]:
    ends = [row.result["metrics"].get(f"test/{name}{end}") for end in ("", "_low", "_high")]
    value, low, high = (end if is_number(end) else None for end in ends)
    return value, value if low is None else low, value if high is None else high


def _split(row: Row) -> Any:
    identity = row.result.get("identity")
    return identity.get("data split") if isinstance(identity, dict) else None


def _leaves(node: Any, path: str = "") -> dict[str, Any]:
    """`{"a.b": 1}` of `{"a": {"b": 1}}`."""
    if not isinstance(node, dict) or not node:
        return {path: node}
    return {
        key: leaf
        for name, value in node.items()
        for key, leaf in _leaves(value, f"{path}.{name}".lstrip(".")).items()
    }
