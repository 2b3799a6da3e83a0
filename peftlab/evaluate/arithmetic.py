"""The value of an equation that a network wrote: our own small parser, since text from a network is never run as code."""

import re
from fractions import Fraction

MAX_LENGTH = 1000  # characters
MAX_DEPTH = 50  # brackets and signs inside each other
NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
TIMES = str.maketrans("×xX÷", "***/")


def value_of(text: str) -> Fraction | None:
    """Of numbers with + - * / and brackets, exactly; x stands for *, a comma may part thousands.

    None for whatever is anything else, divides by 0, is longer than 1,000 characters or deeper than 50 brackets.
    """
    tokens = _tokens(text.translate(TIMES)) if len(text) <= MAX_LENGTH else None
    if not tokens:
        return None
    try:
        value, rest = _sum(tokens, 0, 0)
    except (ValueError, ZeroDivisionError):
        return None
    return value if rest == len(tokens) else None


def _tokens(text: str) -> list[str] | None:
    found, at = list[str](), 0
    while at < len(text):
        number = NUMBER.match(text, at)
        if number:
            found.append(number[0].replace(",", ""))
            at = number.end()
        elif text[at] in "+-*/()":
            found.append(text[at])
            at += 1
        elif text[at].isspace():
            at += 1
        else:
            return None
    return found


def _sum(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    """The value of a + b - ... that begins at token `at`, and the token behind it."""
    value, at = _product(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "+-":
        other, after = _product(tokens, at + 1, depth)
        value, at = (value + other if tokens[at] == "+" else value - other), after
    return value, at


def _product(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    value, at = _factor(tokens, at, depth)
    while at < len(tokens) and tokens[at] in "*/":
        other, after = _factor(tokens, at + 1, depth)
        value, at = (value * other if tokens[at] == "*" else value / other), after
    return value, at


def _factor(tokens: list[str], at: int, depth: int) -> tuple[Fraction, int]:
    """A number, what stands in brackets, or one of the two behind signs."""
    if at >= len(tokens) or depth > MAX_DEPTH:
        raise ValueError("no value")
    token = tokens[at]
    if token in "+-":
        value, at = _factor(tokens, at + 1, depth + 1)
        return (value if token == "+" else -value), at
    if token == "(":
        value, at = _sum(tokens, at + 1, depth + 1)
        if at >= len(tokens) or tokens[at] != ")":
            raise ValueError("a bracket stays open")
        return value, at + 1
    return Fraction(token), at + 1
