"""Which rows are listed, in which order, with which columns."""

import re
from difflib import get_close_matches
from math import isfinite
from typing import Any

from peftlab.errors import UserError
from peftlab.report.runs.row import LISTED, Row, is_number

TERM = re.compile(r"([^=<>!]+)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
COLUMNS = ("state", "peft", "backbone", "dataset", "scaling", "depth", "position", "alpha", "rank", "seed")


def filtered(rows: list[Row], terms: list[str], states: list[str]) -> list[Row]:
    """The rows for which every term holds: `peft=lora`, `rank!=8`, `tail>50`, `seed=0,1` (any of these).

    Two numbers are compared as numbers, all else as text; an order holds between numbers only. A row without the key
    fits `!=` alone.

    Raises: UserError for a term that is none, a key that no row has, or a state that there is not.
    """
    for state in states:
        if state not in LISTED:
            raise UserError(f"--state={state} is not a state; legal: {', '.join(LISTED)}")
    if states:
        rows, all_rows = [row for row in rows if row.state in states], rows
    else:
        all_rows = rows
    for term in terms:
        found = TERM.fullmatch(term)
        if found is None:
            raise UserError(
                f"--where={term} is no comparison; legal: key=value, with = != < > <= >=, as peft=lora"
            )
        key, sign, value = (part.strip() for part in found.groups())
        check_key(all_rows, key, "--where")
        if sign not in ("=", "!=") and _number(value) is None:
            raise UserError(
                f"--where={term}: {value or 'nothing'} is no number; legal behind {sign}: a number"
            )
        rows = [row for row in rows if _holds(row.values.get(key), sign, value)]
    return rows


def ordered(rows: list[Row], key: str, reverse: bool) -> list[Row]:
    """By a key: a metric with the best first, all else ascending; `reverse` the other way. Rows without it stand last.

    Raises: UserError for a key that no row has.
    """
    check_key(rows, key, "--sort")
    known = [row for row in rows if _is_known(row.values.get(key))]
    is_metric = any(key in (m.label, m.name, f"test/{m.name}") for row in rows for m in row.metrics)
    known.sort(key=lambda row: _rank(row.values[key]), reverse=is_metric != reverse)
    return known + [row for row in rows if not _is_known(row.values.get(key))]


def check_key(rows: list[Row], key: str, option: str) -> None:
    """Raises: UserError for a key that no row has, with those that are near it."""
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    if rows and key not in keys:
        near = get_close_matches(key, keys, 3)
        short = [name for name in keys if "/" not in name and "." not in name]
        raise UserError(f"{option}={key} is not a key of these runs; legal: {', '.join(near or short)}")


def columns(rows: list[Row]) -> list[str]:
    """The columns of a list: what differs between the rows, the headline metrics, the time, the name."""
    shown = [key for key in COLUMNS if key == "state" or len({str(row.values.get(key)) for row in rows}) > 1]
    metrics = dict.fromkeys(metric.label for row in rows for metric in row.metrics)
    if rows and "runs" in rows[0].values:  # of sweeps
        return ["state", "runs", "ok", *shown[1:], *metrics, "wall_s", "varies", "best", "sweep"]
    return [*shown, *metrics, "wall_s", "run"]


def constant(rows: list[Row]) -> list[str]:
    """`key=value` of what all rows share and no column shows."""
    shown = columns(rows)
    found = [(key, rows[0].values.get(key)) for key in COLUMNS if key not in shown]
    return [f"{key}={value}" for key, value in found if value is not None]


def _holds(own: Any, sign: str, text: str) -> bool:
    if sign in ("=", "!="):
        return any(_same(own, word) for word in _words(text)) == (sign == "=")
    number = _number(text)
    if not is_number(own) or number is None:
        return False
    return bool({"<": own < number, ">": own > number, "<=": own <= number, ">=": own >= number}[sign])


def _same(own: Any, word: str) -> bool:
    if own is None:
        return word in ("", "null", "None")
    number = _number(word)
    if is_number(own) and number is not None:
        return bool(own == number or f"{own:.1f}" == word)
    return re.sub(r"[\s'\"]", "", str(own)) == re.sub(r"[\s'\"]", "", word)


def _words(text: str) -> list[str]:
    """`a,b` as two words; a comma in brackets is part of a list."""
    return re.split(r",(?![^\[]*\])", text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not isfinite(value))


def _rank(value: Any) -> tuple[int, float, list[tuple[int, str]]]:
    """Numbers before text, and `9-11` before `10-12`."""
    if is_number(value):
        return 0, float(value), []
    parts = re.findall(r"\d+|\D+", str(value))
    return 1, 0.0, [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
