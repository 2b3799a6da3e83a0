"""Videos of scikit-learn's digits that move, made on the spot: classes are movements, in pairs of which each is the other backwards."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch.nn import functional as F

from peftlab.dataset.items import Contents
from peftlab.dataset.source.digits import halves
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.dataset.video.videos import Video, Videos
from peftlab.errors import UserError
from peftlab.option import PositiveInt, Range
from peftlab.stream import generator

CLASSES = ("left", "right", "grow", "shrink", "clockwise", "counterclockwise")
SEED = 0  # of all videos, whatever the seed of a run
TRAVEL = (0.6, 0.9)  # of half the picture, to either side
GROWTH = 0.6  # of its size
TURN = 1.4  # radians, to either side


class Poses(NamedTuple):
    """Of each video: its digit, 0 to 255, where it is in the middle of the movement (x, y, half its side, angle; in halves of the
    picture and radians), and how far it travels."""

    digits: UInt8[np.ndarray, "n 8 8"]
    middle: Float64[np.ndarray, "n 4"]
    travel: Float64[np.ndarray, " n"]


def moving_digits(
    path: str | None,
    *,
    num_train: PositiveInt,
    num_test: PositiveInt,
    length: Annotated[int, Range(3, 1023)],
    size: Annotated[int, Range(8, 512)],
) -> Source:
    """A digit travels, grows or turns over a dark picture: `num_train` and `num_test` videos of each class, the same always.

    The videos of a class are those of its partner backwards, so what is blind to the order of frames cannot tell the two
    apart: of an odd `length`, a clip from the middle of equal parts has the same frames in both. Digits of the test are in no
    training video.

    Raises:
        UserError: for any `path`, and an even `length`.
    """
    if path is not None:
        raise UserError(
            f"dataset.path={path} has no meaning for moving_digits, which come with scikit-learn; legal: null"
        )
    if length % 2 == 0:
        raise UserError(
            f"dataset.source.length={length} is even, so a clip would not have the frames of its partner; legal: an odd number"
        )
    grey, _, train, test = halves()
    shape, shown = (length, size), _poses(grey[test], num_test, "test")
    own = _split(_poses(grey[train], num_train, "train"), num_train, shape)
    open_test: Callable[[], Split] = partial(_split, shown, num_test, shape)
    return Source(list(CLASSES), own, None, open_test, test_contents=partial(_contents, shown, num_test))


def _poses(digits: UInt8[np.ndarray, "n 8 8"], number: int, split: str) -> Poses:
    """Of `number` videos for each pair of classes; a smaller number has the first of a larger one."""
    drawn, u = [], []
    for pair in range(len(CLASSES) // 2):
        for item in range(number):
            rng = generator(SEED, "moving_digits", split, pair, item)
            drawn.append(int(torch.randint(len(digits), (), generator=rng)))
            u.append(torch.rand(5, generator=rng, dtype=torch.float64).numpy())
    x, y, half, angle, travel = np.stack(u, axis=1)
    middle = np.stack([0.6 * x - 0.3, 0.6 * y - 0.3, 0.35 + 0.25 * half, 0.6 * angle - 0.3], axis=1)
    return Poses(digits[drawn], middle, TRAVEL[0] + (TRAVEL[1] - TRAVEL[0]) * travel)


def _split(poses: Poses, number: int, shape: tuple[int, int]) -> Split:
    rows = np.arange(len(CLASSES) * number)
    digest = hashlib.sha256(repr((CLASSES, number, shape, GROWTH, TURN)).encode())
    for values in poses:
        digest.update(np.ascontiguousarray(values).tobytes())
    videos = Videos(
        partial(_opened, poses, number, shape),
        fingerprint=f"moving_digits-{digest.hexdigest()}",
        contents=_contents(poses, number),
    )
    return Split(videos, (rows // number).astype(np.int64), rows)


def _contents(poses: Poses, number: int) -> Contents:
    sizes = np.full(len(CLASSES) * number, poses.digits[0].nbytes + 6 * 8, dtype=np.int64)
    return Contents(sizes, partial(_stored, poses, number), partial(_describe, number))


def _stored(poses: Poses, number: int, row: int) -> bytes:
    """What makes a video: its digit, its numbers and its class."""
    pose = _pose_of(number, row)
    numbers = np.array([*poses.middle[pose], poses.travel[pose], row // number])
    return poses.digits[pose].tobytes() + numbers.tobytes()


def _describe(number: int, row: int) -> str:
    return f"{CLASSES[row // number]} {row % number}"


def _pose_of(number: int, row: int) -> int:
    """A class and its partner have the same poses."""
    return row // number // 2 * number + row % number


def _opened(poses: Poses, number: int, shape: tuple[int, int], row: int) -> Video:
    return Video(shape[0], partial(_frames, poses, number, shape, row))


def _frames(
    poses: Poses, number: int, shape: tuple[int, int], row: int, numbers: Sequence[int]
) -> UInt8[np.ndarray, "t h w 3"]:
    pose, label = _pose_of(number, row), row // number
    time = 2 * np.asarray(numbers, dtype=np.float64) / (shape[0] - 1) - 1  # -1 to 1
    time = time if CLASSES[label] in ("right", "grow", "clockwise") else -time
    x, y, half, angle = (np.full(len(time), value) for value in poses.middle[pose])
    kind = label // 2
    if kind == 0:
        x = poses.travel[pose] * time
    elif kind == 1:
        half = half * (1 + GROWTH * time)
    else:
        angle = angle + TURN * time
    return _drawn(poses.digits[pose], np.stack([x, y, half, angle], axis=1), shape[1])


def _drawn(
    digit: UInt8[np.ndarray, "8 8"], poses: Float64[np.ndarray, "t 4"], size: int
) -> UInt8[np.ndarray, "t h w 3"]:
    """A picture of the digit in each of the poses; a growing angle turns it clockwise."""
    x, y, half, angle = torch.from_numpy(poses).float()[:, :, None, None].unbind(1)
    line = (2 * torch.arange(size) + 1) / size - 1  # middles of pixels, -1 to 1
    across, down = line[None, None, :] - x, line[None, :, None] - y
    cos, sin = angle.cos(), angle.sin()
    grid = torch.stack([cos * across + sin * down, cos * down - sin * across], dim=-1) / half[..., None]
    source = torch.from_numpy(digit).float().expand(len(poses), 1, -1, -1)
    grey = F.grid_sample(source, grid, align_corners=False)[:, 0].round().to(torch.uint8).numpy()
    return np.repeat(grey[..., None], 3, axis=3)
