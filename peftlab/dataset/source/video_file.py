"""One video: a file, decoded by torchcodec, or a folder of frames."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from peftlab.dataset.items import Contents
from peftlab.dataset.source.encoded_split import decode_rgb
from peftlab.dataset.source.tree import pictures
from peftlab.dataset.video.videos import Video
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

ENDINGS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
INSTALL = (
    'decoding video files needs torchcodec and the libraries of FFmpeg on this machine ({why}); legal: pip install "peftlab[video]"'
    " and an FFmpeg of 4 to 8, or folders of frames, which need neither"
)


def opened(path: Path) -> Video:
    """The video of a file, or of a folder whose pictures are its frames in the order of their names.

    Raises:
        UserError: for what is no video, and where files cannot be decoded.
    """
    return _of_folder(path) if path.is_dir() else _of_file(path)


def video_contents(paths: Sequence[Path]) -> Contents:
    """Videos as they are stored: of a folder its frames one behind the other; of what is missing nothing."""
    sizes = np.array([sum(file.stat().st_size for file in _files(path)) for path in paths], dtype=np.int64)
    return Contents(sizes, partial(_stored, paths), partial(_describe, paths))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return pictures(path, Counter())
    return [path] if path.is_file() else []


def _stored(paths: Sequence[Path], row: int) -> bytes:
    return b"".join(file.read_bytes() for file in _files(paths[row]))


def _describe(paths: Sequence[Path], row: int) -> str:
    return plain(str(paths[row]))


def _of_folder(folder: Path) -> Video:
    frames = pictures(folder, Counter())
    if not frames:
        raise UserError(f"dataset.path holds {plain(str(folder))}, a folder without frames; legal: images")
    return Video(len(frames), partial(_frames, frames))


def _frames(files: Sequence[Path], numbers: Sequence[int]) -> UInt8[np.ndarray, "t h w 3"]:
    read = [decode_rgb(files[number].read_bytes(), name=plain(str(files[number]))) for number in numbers]
    if len({frame.shape for frame in read}) > 1:
        raise UserError(
            f"dataset.path holds {plain(str(files[0].parent))}, whose frames are of several sizes; legal: one size"
        )
    return np.stack(read)


def _of_file(file: Path) -> Video:
    make = decoder()
    found = _asked(file, lambda: make(str(file), dimension_order="NHWC", num_ffmpeg_threads=1))
    number = found.metadata.num_frames
    if not number:
        raise UserError(f"dataset.path holds {plain(str(file))}, a video without frames; legal: whole videos")
    return Video(int(number), partial(_decoded, file, found))


def _decoded(file: Path, found: Any, numbers: Sequence[int]) -> UInt8[np.ndarray, "t h w 3"]:
    frames: np.ndarray = _asked(file, lambda: found.get_frames_at(indices=list(numbers)).data.numpy())
    return frames


def _asked(file: Path, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as error:  # what a decoder raises for damaged bytes is its own affair
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"dataset.path holds a broken video, {plain(str(file))} ({why}); legal: whole videos, or dataset.source.broken=skip"
        ) from error


def decoder() -> Any:
    """torchcodec's decoder of a file.

    Raises:
        UserError: where it is not installed, or finds no FFmpeg.
    """
    try:
        from torchcodec.decoders import VideoDecoder
    except Exception as error:  # not installed, or without FFmpeg
        why = f"{type(error).__name__}: {(str(error) or 'no reason given').strip().splitlines()[0]}"
        raise UserError(INSTALL.format(why=why)) from error
    return VideoDecoder
