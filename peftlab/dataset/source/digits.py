"""scikit-learn's handwritten digits: 1,797 real images of 8 x 8 pixels, on every machine, with no network."""

import hashlib
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from peftlab.dataset.draw_per_class import draw_per_class, share_per_class
from peftlab.dataset.image.images import shared_images
from peftlab.dataset.items import Contents
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError

CUT_SEED = 0
TEST_FRACTION = 0.5
MAX_VALUE = 16


def digits(path: str | None) -> Source:
    """The ten digits, half of every class for training and half for the test: always the same halves.

    Raises:
        UserError: for any `path`.

    Source: Alpaydin and Kaynak 1998, UCI "Optical Recognition of Handwritten Digits" (its test part).
    Differs: scikit-learn has no test split, so this cut (stratified, fixed seed) is ours; 0-16 become 0-255.
    """
    if path is not None:
        raise UserError(
            f"dataset.path={path} has no meaning for digits, which come with scikit-learn; legal: null"
        )
    grey, labels, train, held_out = halves()
    pixels = np.repeat(grey[..., None], 3, axis=3)
    open_test: Callable[[], Split] = partial(_split, pixels, labels, held_out)
    names = [str(number) for number in range(10)]
    test_contents = partial(_contents, pixels[held_out], held_out)
    return Source(names, _split(pixels, labels, train), None, open_test, test_contents=test_contents)


def halves() -> tuple[
    UInt8[np.ndarray, "n 8 8"],
    Int64[np.ndarray, " n"],
    Int64[np.ndarray, " m"],
    Int64[np.ndarray, " k"],
]:
    """All digits, 0 to 255, with their labels, and which of them are to train on and which to test on."""
    values, labels = _read()
    grey = np.rint(values * (255 / MAX_VALUE)).astype(np.uint8)
    held_out = draw_per_class(
        labels, share_per_class(np.bincount(labels).astype(np.int64), TEST_FRACTION), CUT_SEED, "digits_test"
    )
    return grey, labels, np.setdiff1d(np.arange(len(labels)), held_out), held_out


def _read() -> tuple[Float64[np.ndarray, "n 8 8"], Int64[np.ndarray, " n"]]:
    """0-16 and labels, from scikit-learn's file: it takes two seconds to import the library that would read it."""
    spec = find_spec("sklearn")
    file = Path(str(spec.origin if spec else None)).parent / "datasets" / "data" / "digits.csv.gz"
    if not file.is_file():
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return bunch.images, bunch.target.astype(np.int64)
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def _split(
    pixels: UInt8[np.ndarray, "n 8 8 3"], labels: Int64[np.ndarray, " n"], rows: Int64[np.ndarray, " m"]
) -> Split:
    digest = hashlib.sha256(pixels[rows].tobytes() + labels[rows].astype("<i8").tobytes()).hexdigest()
    images = shared_images(partial(_pick, pixels), num_images=len(pixels), fingerprint=f"digits-{digest}")
    images.contents = _contents(pixels, np.arange(len(pixels)))
    return Split(images, labels[rows], rows)


def _contents(pixels: UInt8[np.ndarray, "n 8 8 3"], numbers: Int64[np.ndarray, " n"]) -> Contents:
    sizes = np.full(len(pixels), pixels[0].nbytes, dtype=np.int64)
    return Contents(sizes, partial(_stored, pixels), partial(_describe, numbers))


def _stored(pixels: UInt8[np.ndarray, "n 8 8 3"], row: int) -> bytes:
    return pixels[row].tobytes()


def _describe(numbers: Int64[np.ndarray, " n"], row: int) -> str:
    return f"digit {numbers[row]}"


def _pick(pixels: UInt8[np.ndarray, "n 8 8 3"], row: int) -> UInt8[np.ndarray, "8 8 3"]:
    return pixels[row]
