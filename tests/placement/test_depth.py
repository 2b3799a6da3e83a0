"""Depth grammar: whatever is legal resolves to exactly the blocks it names, nothing else is let through."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftlab.errors import UserError
from peftlab.placement.depth import UNKNOWN, block_labels, parse_depth

DEPTHS = st.integers(1, 48)
STAGES = st.lists(st.integers(1, 20), min_size=1, max_size=5)
TWELVE = block_labels(12)
SWIN = block_labels([2, 2, 6, 2])


@given(DEPTHS)
def test_labels_of_one_stack(depth: int) -> None:
    assert block_labels(depth) == [str(block) for block in range(depth)]


def test_labels_of_stages() -> None:
    assert " ".join(SWIN) == "0.0 0.1 1.0 1.1 2.0 2.1 2.2 2.3 2.4 2.5 3.0 3.1"
    assert block_labels([1]) == ["0.0"]  # a list is stages, be it one
    assert block_labels([11])[-1] == "0.10"


def test_labels_of_a_depth_that_nobody_knows() -> None:
    assert block_labels(None) == [str(block) for block in range(UNKNOWN)]


@pytest.mark.parametrize("depth", [0, -1, [], [2, 0, 2], [-1]])
def test_no_blocks_are_no_depth(depth: int | list[int]) -> None:
    with pytest.raises(
        UserError, match=rf"^backbone\.depth={re.escape(str(depth))} is not a depth; legal: 12, "
    ):
        block_labels(depth)


def spelled(block: int, labels: list[str], draw: st.DrawFn) -> int | float | str:
    """A block as a number or as text, by its label or counted from the back."""
    back = block - len(labels)
    text = labels[block]
    legal: list[int | float | str] = [text, f" {text} ", back, str(back), f" {back} "]
    if "." not in text:
        legal.append(int(text))
    elif str(float(text)) == text and f"{text}0" not in labels:
        legal.append(float(text))
    return draw(st.sampled_from(legal))


@st.composite
def depths(draw: st.DrawFn) -> tuple[list[str], list[int | float | str], set[int]]:
    """Blocks, a spelling of some of them, and which ones it means: Python's own range is the oracle."""
    backbone = draw(DEPTHS | STAGES)
    labels = [str(block) for block in range(backbone)] if isinstance(backbone, int) else []
    if isinstance(backbone, list):
        labels = [f"{stage}.{block}" for stage in range(len(backbone)) for block in range(backbone[stage])]
    num_blocks = len(labels)
    entries: list[int | float | str] = []
    meant: set[int] = set()
    for _ in range(draw(st.integers(1, 6))):
        low = draw(st.integers(0, num_blocks - 1))
        high = draw(st.integers(low, num_blocks - 1))
        if draw(st.booleans()):
            entries.append(spelled(low, labels, draw))
            meant.add(low)
        else:
            first, last = (draw(st.sampled_from([labels[end], end - num_blocks])) for end in (low, high))
            entries.append(f"{first}-{last}")
            meant |= set(range(low, high + 1))
    return labels, entries, meant


@given(depths())
def test_any_legal_spelling_resolves_to_exactly_those_blocks(
    case: tuple[list[str], list[int | float | str], set[int]],
) -> None:
    labels, entries, meant = case
    assert parse_depth(entries, labels, key="depth") == sorted(meant)
    assert parse_depth(entries[0], labels, key="depth") == parse_depth(entries[:1], labels, key="depth")


@given(STAGES, st.data())
def test_a_bare_number_is_a_stage_where_there_are_stages(stages: list[int], data: st.DataObject) -> None:
    low = data.draw(st.integers(0, len(stages) - 1))
    high = data.draw(st.integers(low, len(stages) - 1))
    labels = block_labels(stages)
    own = [block for block, label in enumerate(labels) if int(label.split(".")[0]) == low]
    assert own == list(range(sum(stages[:low]), sum(stages[: low + 1])))
    for text in (low, str(low), f"{low}-{low}"):
        assert parse_depth(text, labels, key="depth") == own
    span = list(range(sum(stages[:low]), sum(stages[: high + 1])))
    assert parse_depth(f"{low}-{high}", labels, key="depth") == span
    assert parse_depth(f"{low}.0-{high}", labels, key="depth") == span
    assert parse_depth(f"{low}-{high}.{stages[high] - 1}", labels, key="depth") == span
    with pytest.raises(UserError, match=f"depth={len(stages)} is outside the backbone"):
        parse_depth(len(stages), labels, key="depth")


@given(DEPTHS | STAGES)
def test_all_is_every_block(backbone: int | list[int]) -> None:
    labels = block_labels(backbone)
    every = list(range(len(labels)))
    for text in ("all", f"{labels[0]}-{labels[-1]}", f"-{len(labels)}--1", "0%-100%", f"{labels[0]}--1"):
        assert parse_depth(text, labels, key="depth") == every


@given(st.data(), DEPTHS | STAGES)
def test_adjoining_fractions_share_out_all_blocks(data: st.DataObject, backbone: int | list[int]) -> None:
    """HLPT: 0%-75% and 75%-100%. A part that holds no block is an error of its own."""
    labels = block_labels(backbone)
    num_blocks = len(labels)
    cuts = sorted(data.draw(st.sets(st.integers(1, 99), min_size=1, max_size=4)))
    shared: list[int] = []
    for low, high in zip([0, *cuts], [*cuts, 100], strict=True):
        if any(low * num_blocks <= 100 * block < high * num_blocks for block in range(num_blocks)):
            shared += parse_depth(f"{low}%-{high}%", labels, key="depth")
        else:
            with pytest.raises(
                UserError, match=f"depth={low}%-{high}% holds none of the {num_blocks} blocks"
            ):
                parse_depth(f"{low}%-{high}%", labels, key="depth")
    assert shared == list(range(num_blocks))


@pytest.mark.parametrize("num_blocks", range(1, 49))
def test_three_quarters_and_the_rest(num_blocks: int) -> None:
    labels = block_labels(num_blocks)
    lower = parse_depth("0%-75%", labels, key="depth")
    assert len(lower) == -(-3 * num_blocks // 4)  # the ceiling: block i starts at i / num_blocks
    if num_blocks >= 4:
        assert lower + parse_depth("75%-100%", labels, key="depth") == list(range(num_blocks))


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
    assert parse_depth(depth, TWELVE, key="depth") == blocks


@pytest.mark.parametrize(
    ("depth", "blocks"),
    [
        ("2.3", [7]),
        (2.3, [7]),
        (0.0, [0]),
        ("0.0-1.1", [0, 1, 2, 3]),
        (2, [4, 5, 6, 7, 8, 9]),
        ("1-2", [2, 3, 4, 5, 6, 7, 8, 9]),
        ("1-2.0", [2, 3, 4]),
        ("2.5-3", [9, 10, 11]),
        (-1, [11]),
        ("2.4--2", [8, 9, 10]),
        ("-12-0", [0, 1]),
        ("75%-100%", [9, 10, 11]),
        ([0, 3.1, "2.5"], [0, 1, 9, 11]),
    ],
)
def test_swin_tiny_by_hand(depth: float | str | list[float | str], blocks: list[int]) -> None:
    assert parse_depth(depth, SWIN, key="depth") == blocks


def test_a_number_that_may_have_been_two_blocks_is_not_guessed() -> None:
    """2.10 is the number 2.1 for YAML and for the command line."""
    labels = block_labels([2, 2, 18, 2])
    assert parse_depth("2.10", labels, key="depth") == [14]
    assert parse_depth("2.1", labels, key="depth") == [5]
    assert parse_depth([2.2, 2.17, 1.1], labels, key="depth") == [3, 6, 21]
    for depth in (2.1, [0, 2.1]):
        with pytest.raises(
            UserError, match=r"^placement\.depth=2\.1 may have been 2\.1 or 2\.10, .* in quotes"
        ):
            parse_depth(depth, labels, key="placement.depth")
    assert parse_depth(2.1, block_labels([2, 2, 10, 2]), key="depth") == [5]  # no 2.10 here


@pytest.mark.parametrize(
    ("written", "blocks"),
    [
        ("2.3", [7]),
        ('"2.3"', [7]),
        ("0.0-1.1", [0, 1, 2, 3]),
        ("[2.3,0.1]", [1, 7]),
        ("2", [4, 5, 6, 7, 8, 9]),
    ],
)
def test_on_the_command_line(composed: Callable[..., Any], written: str, blocks: list[int]) -> None:
    """As Hydra reads it: the number 2.3, or a word."""
    assert (
        parse_depth(composed(f"placement.depth={written}")["placement"]["depth"], SWIN, key="depth") == blocks
    )


@pytest.mark.parametrize("depth", ["2.3", 2.3, 2.1, "0.0-1.1", "1-2.0", [2.3, "3.1"]])
def test_stage_dot_block_is_not_judged_before_the_depth_is_known(
    depth: float | str | list[float | str],
) -> None:
    assert parse_depth(depth, block_labels(None), key="depth") == []
    with pytest.raises(UserError, match="is not a depth"):
        parse_depth(depth, TWELVE, key="depth")


def test_the_rest_is_judged_before_the_depth_is_known() -> None:
    unknown = block_labels(None)
    assert parse_depth([3, "0-2"], unknown, key="depth") == [0, 1, 2, 3]
    for wrong in ("2.3.4", "a", "2.x", "3%", "5-2"):
        with pytest.raises(UserError, match=f"^placement.depth={wrong} "):
            parse_depth(wrong, unknown, key="placement.depth")


@given(DEPTHS, st.integers(-200, 200))
def test_a_block_that_does_not_exist_is_refused(num_blocks: int, block: int) -> None:
    labels = block_labels(num_blocks)
    if -num_blocks <= block < num_blocks:
        assert parse_depth(str(block), labels, key="placement.depth") == [list(range(num_blocks))[block]]
    else:
        legal = f"blocks 0-{num_blocks - 1} .or -{num_blocks} to -1"
        for text in (str(block), f"{block}-{block}", f"0-{block}"):
            with pytest.raises(UserError, match=rf"^placement\.depth={text} .*{legal}"):
                parse_depth(text, labels, key="placement.depth")


@given(STAGES, st.integers(0, 6), st.integers(0, 25))
def test_a_block_that_a_stage_does_not_have_is_refused(stages: list[int], stage: int, block: int) -> None:
    labels = block_labels(stages)
    text = f"{stage}.{block}"
    if stage < len(stages) and block < stages[stage]:
        assert parse_depth(text, labels, key="depth") == [sum(stages[:stage]) + block]
    else:
        for wrong in (text, f"0.0-{text}", f"{text}--1"):
            with pytest.raises(
                UserError, match=rf"^depth={wrong} is outside the backbone; legal: blocks 0\.0-0\."
            ):
                parse_depth(wrong, labels, key="depth")


def test_the_sentence_names_the_blocks_of_every_stage() -> None:
    legal = r"legal: blocks 0\.0-0\.1, 1\.0-1\.1, 2\.0-2\.5, 3\.0-3\.1 \(or -12 to -1\)$"
    for wrong in ("1.2", 1.2, 4, "4-5", -13, "3.0-3.2"):
        with pytest.raises(UserError, match=rf"^placement\.depth={wrong} is outside the backbone; {legal}"):
            parse_depth(wrong, SWIN, key="placement.depth")


@given(DEPTHS | STAGES, st.data())
def test_a_range_that_runs_backwards_is_refused(backbone: int | list[int], data: st.DataObject) -> None:
    labels = block_labels(backbone)
    low = data.draw(st.integers(0, len(labels) - 1))
    if low:
        first, last = labels[low], labels[data.draw(st.integers(0, low - 1))]
        with pytest.raises(UserError, match=f"depth={first}-{last} runs backwards; legal: {last}-{first}"):
            parse_depth(f"{first}-{last}", labels, key="depth")


WRONG = """a 0- - 1.5 1.0-2 0:2 0,2 0..2 3% 0%-3 0-75% 50%-25% 0%-101% -5%-20% 25%-25% 2-0 -1-0 0--1-2
blocks.1 * all-2 99%-100% None 0x1 1e1"""


@pytest.mark.parametrize("depth", ["", " ", "0 - 2", *WRONG.split()])
def test_anything_else_is_one_sentence(depth: str) -> None:
    for given_depth in (depth, [0, depth]):
        with pytest.raises(UserError, match=re.escape(f"placement.depth={depth} ")) as error:
            parse_depth(given_depth, TWELVE, key="placement.depth")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "depth", ["", "2.", ".3", "2.3.4", "-2.3", "2.*", "stage 2", "2.3-", "2-1", "02.3", "1e1"]
)
def test_anything_else_is_one_sentence_where_there_are_stages(depth: str) -> None:
    for given_depth in (depth, [0, depth]):
        with pytest.raises(UserError, match=re.escape(f"placement.depth={depth} ")) as error:
            parse_depth(given_depth, SWIN, key="placement.depth")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("depth", [float("nan"), float("inf"), 1e20, -0.5, 2.5])
def test_numbers_that_are_no_block(depth: float) -> None:
    with pytest.raises(UserError, match="is not a depth"):
        parse_depth(depth, TWELVE, key="depth")


def test_an_empty_list_names_no_block() -> None:
    with pytest.raises(UserError, match=r"names no block; legal: whole numbers \(3\)"):
        parse_depth([], TWELVE, key="placement.depth")
    with pytest.raises(UserError, match=r"names no block; legal: blocks \(1\.0\), stages \(1\)"):
        parse_depth([], SWIN, key="placement.depth")


def test_block_1_is_not_block_10_or_11() -> None:
    """The trap of selecting by substring."""
    assert parse_depth("1", TWELVE, key="depth") == [1]
    assert parse_depth("1", block_labels([1] * 12), key="depth") == [1]
    assert parse_depth("2.1", block_labels([2, 2, 18, 2]), key="depth") == [5]


BOTH = [*(f"enc.{block}" for block in range(6)), *(f"dec.{block}" for block in range(4))]


@pytest.mark.parametrize(
    ("depth", "blocks"),
    [
        ("enc", list(range(6))),
        ("dec", [6, 7, 8, 9]),
        ("enc.3", [3]),
        ("enc.0-2", [0, 1, 2]),
        ("dec.-1", [9]),
        ("dec.-3--2", [7, 8]),
        ("dec.50%-100%", [8, 9]),
        (["enc.0", "dec.0", -1], [0, 6, 9]),
        (5, [5]),
        ("5-6", [5, 6]),
        ("all", list(range(10))),
        ("0%-60%", list(range(6))),
    ],
)
def test_an_encoder_and_a_decoder(depth: Any, blocks: list[int]) -> None:
    assert parse_depth(depth, BOTH, key="depth") == blocks


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        ("enc.6", "depth=enc.6: in enc, depth=6 is outside the backbone; legal: blocks 0-5 (or -6 to -1)"),
        ("dec.2-1", "runs backwards; legal: 1-2"),
        (
            "enc.",
            "depth=enc. is not a depth; legal: a stack (enc, dec), blocks of one (enc.3, enc.0-2, dec.-1)",
        ),
        ("0.1", "depth=0.1 is not a depth; legal: a stack"),
        (10, "depth=10 is outside the backbone; legal: blocks enc.0-enc.5, dec.0-dec.3"),
    ],
)
def test_what_neither_stack_has(depth: Any, words: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_depth(depth, BOTH, key="depth")
    assert words in str(refused.value)


@pytest.mark.parametrize("depth", ["enc", "dec.3"])
def test_stacks_where_there_is_one_or_where_nobody_knows(depth: str) -> None:
    with pytest.raises(UserError, match=f"depth={depth} is not a depth, since there is one stack of blocks"):
        parse_depth(depth, TWELVE, key="depth")
    assert parse_depth(depth, block_labels(None), key="depth") == []


TOWERS = [*(f"image.{block}" for block in range(12)), *(f"text.{block}" for block in range(6))]


@pytest.mark.parametrize(
    ("depth", "tower", "blocks"),
    [
        ("all", "both", [*range(18)]),
        ("image", "both", [*range(12)]),
        ("text", "both", [*range(12, 18)]),
        ("text.0-1", "both", [12, 13]),
        ("image.-1", "both", [11]),
        ("text.50%-100%", "both", [15, 16, 17]),
        (3, "both", [3, 15]),
        ("-1", "both", [11, 17]),
        ("0-1", "text", [12, 13]),
        ("6-11", "image", [6, 7, 8, 9, 10, 11]),
        ("67%-100%", "image", [9, 10, 11]),
        ("67%-100%", "both", [9, 10, 11, 17]),
        (["image.0", "text.5", 2], "both", [0, 2, 14, 17]),
    ],
)
def test_two_towers(depth: Any, tower: str, blocks: list[int]) -> None:
    assert parse_depth(depth, TOWERS, key="depth", tower=tower) == blocks


@pytest.mark.parametrize(
    ("depth", "labels", "sentence"),
    [
        (7, TOWERS, "depth=7: in text, depth=7 is outside the backbone; legal: blocks 0-5 (or -6 to -1)"),
        ("enc.1", TOWERS, "depth=enc.1 is not a depth"),
        ("text.9", TOWERS, "depth=text.9: in text, depth=9 is outside the backbone"),
        ("text.0", TWELVE, "depth=text.0 names one of two towers, and the backbone has one"),
    ],
)
def test_blocks_that_towers_do_not_have(depth: Any, labels: list[str], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        parse_depth(depth, labels, key="depth")
    assert str(error.value).startswith(sentence)


def test_towers_of_unknown_depth_name_no_block_yet() -> None:
    assert parse_depth("text.0", block_labels(None), key="depth") == []
