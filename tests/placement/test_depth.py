"""Depth grammar: whatever is legal resolves to exactly the blocks it names, nothing else is let through."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.depth import parse_depth

DEPTHS = st.integers(1, 48)


def spelled(block: int, num_blocks: int, draw: st.DrawFn) -> int | str:
    """A block as a number or as text, counted from the front or from the back."""
    value = draw(st.sampled_from([block, block - num_blocks]))
    return draw(st.sampled_from([value, str(value), f" {value} "]))


@st.composite
def depths(draw: st.DrawFn) -> tuple[int, list[int | str], set[int]]:
    """Blocks, a spelling of some of them, and which ones it means: Python's own range is the oracle."""
    num_blocks = draw(DEPTHS)
    entries: list[int | str] = []
    meant: set[int] = set()
    for _ in range(draw(st.integers(1, 6))):
        low = draw(st.integers(0, num_blocks - 1))
        high = draw(st.integers(low, num_blocks - 1))
        if draw(st.booleans()):
            entries.append(spelled(low, num_blocks, draw))
            meant.add(low)
        else:
            first, last = (draw(st.sampled_from([end, end - num_blocks])) for end in (low, high))
            entries.append(f"{first}-{last}")
            meant |= set(range(low, high + 1))
    return num_blocks, entries, meant


@given(depths())
def test_any_legal_spelling_resolves_to_exactly_those_blocks(
    case: tuple[int, list[int | str], set[int]],
) -> None:
    num_blocks, entries, meant = case
    assert parse_depth(entries, num_blocks, key="depth") == sorted(meant)
    assert parse_depth(entries[0], num_blocks, key="depth") == parse_depth(
        entries[:1], num_blocks, key="depth"
    )


@given(DEPTHS)
def test_all_is_every_block(num_blocks: int) -> None:
    assert parse_depth("all", num_blocks, key="depth") == list(range(num_blocks))
    assert parse_depth(f"0-{num_blocks - 1}", num_blocks, key="depth") == list(range(num_blocks))
    assert parse_depth(f"-{num_blocks}--1", num_blocks, key="depth") == list(range(num_blocks))
    assert parse_depth("0%-100%", num_blocks, key="depth") == list(range(num_blocks))


@given(st.data(), DEPTHS)
def test_adjoining_fractions_share_out_all_blocks(data: st.DataObject, num_blocks: int) -> None:
    """HLPT: 0%-75% and 75%-100%. A part that holds no block is an error of its own."""
    cuts = sorted(data.draw(st.sets(st.integers(1, 99), min_size=1, max_size=4)))
    shared: list[int] = []
    for low, high in zip([0, *cuts], [*cuts, 100], strict=True):
        if any(low * num_blocks <= 100 * block < high * num_blocks for block in range(num_blocks)):
            shared += parse_depth(f"{low}%-{high}%", num_blocks, key="depth")
        else:
            with pytest.raises(
                UserError, match=f"depth={low}%-{high}% holds none of the {num_blocks} blocks"
            ):
                parse_depth(f"{low}%-{high}%", num_blocks, key="depth")
    assert shared == list(range(num_blocks))


@pytest.mark.parametrize("num_blocks", range(1, 49))
def test_three_quarters_and_the_rest(num_blocks: int) -> None:
    lower = parse_depth("0%-75%", num_blocks, key="depth")
    assert len(lower) == -(-3 * num_blocks // 4)  # the ceiling: block i starts at i / num_blocks
    if num_blocks >= 4:
        assert lower + parse_depth("75%-100%", num_blocks, key="depth") == list(range(num_blocks))


@pytest.mark.parametrize(
    ("depth", "blocks"),
    [
        ("0-2", [0, 1, 2]),
        (-1, [11]),
        ("-3--1", [9, 10, 11]),
        ("0%-75%", list(range(9))),
        ("75%-100%", [9, 10, 11]),
        ("12.5%-25%", [2]),  # block 2 is at 16.7 %, block 1 at 8.3 %, block 3 at 25 %
        (["0-1", 1, "-1"], [0, 1, 11]),
        ("9--1", [9, 10, 11]),
    ],
)
def test_twelve_blocks_by_hand(depth: int | str | list[int | str], blocks: list[int]) -> None:
    assert parse_depth(depth, 12, key="depth") == blocks


@given(DEPTHS, st.integers(-200, 200))
def test_a_block_that_does_not_exist_is_refused(num_blocks: int, block: int) -> None:
    if -num_blocks <= block < num_blocks:
        assert parse_depth(str(block), num_blocks, key="placement.depth") == [list(range(num_blocks))[block]]
    else:
        legal = f"blocks 0-{num_blocks - 1} .or -{num_blocks} to -1"
        for text in (str(block), f"{block}-{block}", f"0-{block}"):
            with pytest.raises(UserError, match=rf"^placement\.depth={text} .*{legal}"):
                parse_depth(text, num_blocks, key="placement.depth")


@given(DEPTHS, st.data())
def test_a_range_that_runs_backwards_is_refused(num_blocks: int, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, num_blocks - 1))
    if low:
        high = data.draw(st.integers(0, low - 1))
        with pytest.raises(UserError, match=f"depth={low}-{high} runs backwards; write {high}-{low}"):
            parse_depth(f"{low}-{high}", num_blocks, key="depth")


WRONG = """a 0- - 1.5 1.0-2 0:2 0,2 0..2 3% 0%-3 0-75% 50%-25% 0%-101% -5%-20% 25%-25% 2-0 -1-0 0--1-2
blocks.1 * all-2 99%-100% None 0x1 1e1"""


@pytest.mark.parametrize("depth", ["", " ", "0 - 2", *WRONG.split()])
def test_anything_else_is_one_sentence(depth: str) -> None:
    for given_depth in (depth, [0, depth]):
        with pytest.raises(UserError, match=re.escape(f"placement.depth={depth} ")) as error:
            parse_depth(given_depth, 12, key="placement.depth")
        assert "\n" not in str(error.value)


def test_an_empty_list_names_no_block() -> None:
    with pytest.raises(UserError, match="names no block"):
        parse_depth([], 12, key="placement.depth")


def test_block_1_is_not_block_10_or_11() -> None:
    """The trap of selecting by substring."""
    assert parse_depth("1", 12, key="depth") == [1]
