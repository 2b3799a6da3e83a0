"""The kinds of questions with answers, which stand in for classes: read from the texts by a fixed rule."""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.text.texts import Columns

Kind = Literal["operations", "steps", "attributes"]

OPERATION = re.compile(r"[-+*/]")
ATTRIBUTE = re.compile(r"\w\[")


class _Rule(NamedTuple):
    """`number` of a question and its answer; kinds are the numbers from `low` to `high` and what lies beyond."""

    number: Callable[[str, str], int]
    noun: str
    low: int
    high: int

    def names(self) -> list[str]:
        """From the fewest to the most."""
        middle = [f"{count} {self.noun}s" for count in range(self.low + 1, self.high)]
        plural = "" if self.low == 1 else "s"
        return [f"at most {self.low} {self.noun}{plural}", *middle, f"{self.high} or more {self.noun}s"]

    def label(self, question: str, answer: str) -> int:
        """Which of these."""
        return min(max(self.number(question, answer), self.low), self.high) - self.low


def _operations(question: str, answer: str) -> int:
    """Signs before the first `=`."""
    return len(OPERATION.findall(answer.partition("=")[0]))


def _steps(question: str, answer: str) -> int:
    """Lines before the one that says the number."""
    return answer.strip().count("\n")


def _attributes(question: str, answer: str) -> int:
    """As `area[city centre]`."""
    return len(ATTRIBUTE.findall(question))


RULES: dict[str, _Rule] = {
    "operations": _Rule(_operations, "operation", 1, 3),
    "steps": _Rule(_steps, "step", 2, 6),
    "attributes": _Rule(_attributes, "attribute", 3, 8),
}


def kind_names(kind: Kind | None) -> list[str]:
    """The names of the kinds: of None one for all."""
    return ["all"] if kind is None else RULES[kind].names()


def kinds_of(kind: Kind | None, columns: Columns) -> Int64[np.ndarray, " n"]:
    """Which kind each row is of."""
    if kind is None:
        return np.zeros(len(columns.first), dtype=np.int64)
    assert columns.answers is not None
    pairs = zip(columns.first, columns.answers, strict=True)
    return np.array([RULES[kind].label(*pair) for pair in pairs], dtype=np.int64)
