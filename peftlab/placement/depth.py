"""Block depths as people write them: `3`, `0-2`, `-1`, `-3--1`, `0%-75%`, `all`, `2.3`, `0.0-1.1`, `enc`, `dec.0-2`, and lists
of these."""

import re
from collections.abc import Sequence

from peftlab.errors import UserError

Entry = int | float | str
_END = r"(-?\d+(?:\.\d+)?%?)"
_SPAN = re.compile(rf"{_END}(?:-{_END})?")
_STACK = re.compile(r"(enc|dec|image|text)(?:\.(.+))?")
LEGAL = "whole numbers (3), ranges (0-2), negatives (-1), fractions (0%-75%), all, or a list of these"
STAGED = "blocks (1.0), stages (1), ranges (0.1-1.0, 0-1), negatives (-1), fractions (0%-75%), all, or a list of these"
STACKED = (
    "a stack (enc, dec), blocks of one (enc.3, enc.0-2, dec.-1), numbers through both (0, -1, 0-2), fractions (0%-75%), all, or a"
    " list of these"
)
TOWERS = ("image", "text")
TOWERED = "a tower (image, text), blocks of one (image.3, text.0-2, text.-1), or of each (0, -1, 0-2, 0%-75%), all, or a list of these"
UNKNOWN = 1000  # of a backbone that has not said its depth: any block may exist until the model is built


def block_labels(depth: int | Sequence[int] | None) -> list[str]:
    """What the blocks are called, from the bottom: 0, 1, ..., or stage.block if `depth` is a list of stages.

    None, for a depth that is not known yet, gives UNKNOWN plain labels.

    Raises:
        UserError: for a depth of no blocks.
    """
    stages = [depth] if isinstance(depth, int) else [UNKNOWN] if depth is None else list(depth)
    if not stages or min(stages) < 1:
        raise UserError(
            f"backbone.depth={depth} is not a depth; legal: 12, [2,2,6,2] for stages of blocks, or null"
        )
    if depth is None or isinstance(depth, int):
        return [str(block) for block in range(stages[0])]
    return [f"{stage}.{block}" for stage, number in enumerate(stages) for block in range(number)]


def parse_depth(
    depth: Entry | Sequence[Entry], labels: Sequence[str], *, key: str, tower: str = "both"
) -> list[int]:
    """The blocks that `depth` names among `labels`, as indices from the bottom, ascending and without repeats.

    A range includes both ends. A fraction range `a%-b%` holds the blocks i with a <= 100 i / num_blocks < b, so
    that `0%-75%` and `75%-100%` share out all blocks and no block twice. Where labels are stage.block, `2.3` is a
    block, `2` all blocks of a stage, and `-1` the last block. YAML and the command line read 2.10 as the number 2.1:
    block 10 of a stage is written in quotes, `'placement.depth="2.10"'`. Where labels are enc.block and dec.block, `dec` is
    all blocks of the decoder, `dec.-1` and `dec.0-2` are counted in it, and numbers alone through both. Where they are image.block
    and text.block, `image` is all blocks of a tower, and numbers alone are counted in `tower`, or in each. Where the depth is unknown,
    stage.block, enc, dec and towers name no block yet.

    Raises:
        UserError: naming `key`, for an unreadable entry, an empty list or a block that the backbone does not have.
    """
    entries = list(depth) if isinstance(depth, Sequence) and not isinstance(depth, str) else [depth]
    if not entries:
        raise UserError(f"{key}=[] names no block; legal: {_legal(labels)}")
    towers = TOWERS if tower == "both" else (tower,)
    return sorted({block for entry in entries for block in _blocks(entry, labels, key, towers)})


def _blocks(entry: Entry, labels: Sequence[str], key: str, towers: Sequence[str] = TOWERS) -> list[int]:
    text, given = str(entry).strip(), f"{key}={entry}"
    if text == "all":
        return list(range(len(labels)))
    stack = _STACK.fullmatch(text)
    if stack is not None:
        return _of_stack(stack.group(1), stack.group(2), labels, given)
    if labels[0].startswith(TOWERS):
        return [block for tower in towers for block in _of_stack(tower, text, labels, given)]
    match = _SPAN.fullmatch(text)
    if match is None:
        raise UserError(f"{given} is not a depth; legal: {_legal(labels)}")
    first, last = match.group(1), match.group(2)
    if "%" in text:
        return _fraction(first, last, len(labels), given)
    if isinstance(entry, float) and f"{text}0" in labels:
        raise UserError(
            f"{given} may have been {text} or {text}0, which are one number; legal: the one that is meant, in quotes"
        )
    if "." in text and len(labels) == UNKNOWN:
        return []
    low = _end(first, labels, given)
    high = low if last is None else _end(last, labels, given)
    if low.start >= high.stop:
        raise UserError(f"{given} runs backwards; legal: {last}-{first}")
    return list(range(low.start, high.stop))


def _of_stack(stack: str, rest: str | None, labels: Sequence[str], given: str) -> list[int]:
    """The blocks of an encoder or a decoder, or those that `rest` names in it."""
    own = [block for block, label in enumerate(labels) if label.startswith(f"{stack}.")]
    if len(labels) == UNKNOWN:
        return []
    if not own and stack in TOWERS:
        raise UserError(
            f"{given} names one of two towers, and the backbone has one; legal: backbone=duo task=contrast, or blocks as numbers"
        )
    if not own:
        raise UserError(
            f"{given} is not a depth, since there is one stack of blocks; legal: {_legal(labels)}"
        )
    if rest is None:
        return own
    return [
        own[block]
        for block in _blocks(rest, [str(at) for at in range(len(own))], f"{given}: in {stack}, depth")
    ]


def _end(text: str, labels: Sequence[str], given: str) -> range:
    """The blocks that one end of a range stands for: one, or those of a stage."""
    if "." in text:
        if not _staged(labels) or text.startswith("-"):
            raise UserError(f"{given} is not a depth; legal: {_legal(labels)}")
        at = [index for index, label in enumerate(labels) if label == text]
    elif _staged(labels) and int(text) >= 0:
        at = [index for index, label in enumerate(labels) if label.startswith(f"{int(text)}.")]
    else:
        at = [index for index in (int(text), int(text) + len(labels)) if 0 <= index < len(labels)]
    if not at:
        raise UserError(
            f"{given} is outside the backbone; legal: blocks {_own(labels)} (or -{len(labels)} to -1)"
        )
    return range(at[0], at[-1] + 1)


def _staged(labels: Sequence[str]) -> bool:
    return "." in labels[0] and labels[0][0].isdigit()


def _legal(labels: Sequence[str]) -> str:
    if labels[0].startswith("enc."):
        return STACKED
    if labels[0].startswith(TOWERS):
        return TOWERED
    return STAGED if _staged(labels) else LEGAL


def _own(labels: Sequence[str]) -> str:
    """0-11, or 0.0-0.1, 1.0-1.1, 2.0-2.5, 3.0-3.1."""
    stages: dict[str, list[str]] = {}
    for label in labels:
        stages.setdefault(label.rpartition(".")[0], []).append(label)
    return ", ".join(f"{stage[0]}-{stage[-1]}" for stage in stages.values())


def _fraction(first: str, last: str | None, num_blocks: int, given: str) -> list[int]:
    if last is None or not (first.endswith("%") and last.endswith("%")):
        raise UserError(f"{given} is not a range of fractions; legal: as 0%-75%")
    low, high = float(first[:-1]), float(last[:-1])
    if not 0 <= low < high <= 100:
        raise UserError(f"{given} is not a range of fractions; legal: from 0% up to 100%")
    blocks = [block for block in range(num_blocks) if low <= 100 * block / num_blocks < high]
    if not blocks:
        raise UserError(f"{given} holds none of the {num_blocks} blocks; legal: a wider one")
    return blocks
