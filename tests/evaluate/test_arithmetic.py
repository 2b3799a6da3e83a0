from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.evaluate.arithmetic import MAX_DEPTH, MAX_LENGTH, value_of

Pair = tuple[str, Fraction | None]


def joined(left: Pair, right: Pair, sign: str) -> Pair:
    """Both in brackets, with a sign between; what Python's own fractions give for it."""
    text = f"({left[0]}) {sign} ({right[0]})"
    if left[1] is None or right[1] is None or (sign == "/" and right[1] == 0):
        return text, None
    a, b = left[1], right[1]
    return text, {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[sign]


NUMBERS = st.one_of(
    st.integers(0, 10**6).map(lambda number: (str(number), Fraction(number))),
    st.decimals(0, 1000, places=3).map(lambda number: (str(number), Fraction(str(number)))),
)
EQUATIONS = st.recursive(
    NUMBERS, lambda inner: st.builds(joined, inner, inner, st.sampled_from("+-*/")), max_leaves=20
)


@given(EQUATIONS)
def test_brackets_have_the_value_that_fractions_give(pair: Pair) -> None:
    assert value_of(pair[0]) == pair[1]


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 99)), min_size=1, max_size=12))
def test_without_brackets_times_comes_before_plus_and_left_before_right(
    chain: list[tuple[str, int]],
) -> None:
    text = "7" + "".join(f"{sign}{number}" for sign, number in chain)
    expected = eval("Fraction(7)" + "".join(f"{sign}Fraction({number})" for sign, number in chain))
    assert value_of(text) == expected


@given(st.text(alphabet="0123456789+-*/(). x,e_'[]", max_size=60))
def test_any_text_has_a_value_or_none(text: str) -> None:
    assert isinstance(value_of(text), Fraction | None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("56 * 9", 504),
        ("25000 - (1500 * 8)", 13000),
        ("12 x 2", 24),
        ("1,234.5 + .5", 1235),
        ("-3 + --2", -1),
        ("6 ÷ 4", Fraction(3, 2)),
    ],
)
def test_what_people_write(text: str, value: int | Fraction) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "1 / 0", "1 +", "(1", "1)", "1 2", "2 ** 3", "__import__('os')", "1e5", "(" * (MAX_DEPTH + 2) + "1"],
)
def test_what_is_no_arithmetic(text: str) -> None:
    assert value_of(text) is None


def test_what_is_too_long_or_too_deep_is_not_tried() -> None:
    assert value_of("1" + "+1" * (MAX_LENGTH // 2)) is None
    assert value_of("-" * MAX_DEPTH + "1") == (-1) ** MAX_DEPTH
    assert value_of("-" * (MAX_DEPTH + 1) + "1") is None
    assert value_of("(" * 400 + "1" + ")" * 400) is None
