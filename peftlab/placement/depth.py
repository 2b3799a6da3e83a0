"""Block depths as people write them: `3`, `0-2`, `-1`, `-3--1`, `0%-75%`, `all`, and lists of these."""

import re
from collections.abc import Sequence

from peftlab.errors import UserError

_END = r"(-?\d+(?:\.\d+)?%?)"
_SPAN = re.compile(rf"{_END}(?:-{_END})?")
LEGAL = "whole numbers (3), ranges (0-2), negatives (-1), fractions (0%-75%), all, or a list of these"


def parse_depth(depth: int | str | Sequence[int | str], num_blocks: int, *, key: str) -> list[int]:
    """The blocks that `depth` names, ascending and without repeats.

    A range includes both ends. A fraction range `a%-b%` holds the blocks i with a <= 100 i / num_blocks < b, so
    that `0%-75%` and `75%-100%` share out all blocks and no block twice.

    Raises:
        UserError: naming `key`, for an unreadable entry, an empty list or a block that the backbone does not have.
    """
    entries = list(depth) if isinstance(depth, Sequence) and not isinstance(depth, str) else [depth]
    if not entries:
        raise UserError(f"{key}=[] names no block; legal: {LEGAL}")
    return sorted({block for entry in entries for block in _blocks(entry, num_blocks, key)})


def _blocks(entry: int | str, num_blocks: int, key: str) -> list[int]:
    text = str(entry).strip()
    if text == "all":
        return list(range(num_blocks))
    match = _SPAN.fullmatch(text)
    if match is None:
        raise UserError(f"{key}={entry} is not a depth; legal: {LEGAL}")
    first, last = match.group(1), match.group(2)
    if "%" in text:
        return _fraction(first, last, num_blocks, f"{key}={entry}")
    if "." in text:
        raise UserError(f"{key}={entry} is not a depth; legal: {LEGAL}")
    low = _index(int(first), num_blocks, f"{key}={entry}")
    high = low if last is None else _index(int(last), num_blocks, f"{key}={entry}")
    if low > high:
        raise UserError(f"{key}={entry} runs backwards; write {last}-{first}")
    return list(range(low, high + 1))


def _index(block: int, num_blocks: int, given: str) -> int:
    if not -num_blocks <= block < num_blocks:
        raise UserError(
            f"{given} is outside the backbone, which has blocks 0-{num_blocks - 1} (or -{num_blocks} to -1)"
        )
    return block % num_blocks


def _fraction(first: str, last: str | None, num_blocks: int, given: str) -> list[int]:
    if last is None or not (first.endswith("%") and last.endswith("%")):
        raise UserError(f"{given} is not a range of fractions; write it as 0%-75%")
    low, high = float(first[:-1]), float(last[:-1])
    if not 0 <= low < high <= 100:
        raise UserError(f"{given} is not a range of fractions from 0% up to 100%")
    blocks = [block for block in range(num_blocks) if low <= 100 * block / num_blocks < high]
    if not blocks:
        raise UserError(f"{given} holds none of the {num_blocks} blocks")
    return blocks
