"""A split made of encoded pictures: files of a folder, cells of a table."""

import hashlib
import io
import warnings
from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image, UnidentifiedImageError, features

from peftlab.dataset.image.images import shared_images
from peftlab.dataset.items import Contents
from peftlab.dataset.split import Split
from peftlab.errors import UserError

MAX_HASHED_BYTES = 2**30
# the decoders that are asked, and no other: one of Pillow's starts a program (EPS)
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
ORIENTATION = 0x0112  # of EXIF
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MAGIC = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def encoded_split(class_names: Sequence[str], labels: Int64[np.ndarray, " n"], contents: Contents) -> Split:
    """All rows of a source."""
    key = fingerprint(class_names, labels, contents)
    is_whole = int(contents.sizes.sum()) < MAX_HASHED_BYTES  # else the fingerprint does not tell the content
    stored = f"{key} {_decoders()}" if is_whole else None
    decode = partial(_decode_row, contents)
    images = shared_images(decode, num_images=len(labels), fingerprint=key, stored=stored)
    images.contents, images.is_hashed = contents, is_whole
    return Split(images, labels, np.arange(len(labels), dtype=np.int64))


def fingerprint(class_names: Sequence[str], labels: Int64[np.ndarray, " n"], contents: Contents) -> str:
    """sha256 over class names, labels, sizes and content: the same for a hub set and for a local copy of it.

    Above 1 GiB the content is left out, because reading it would take longer than a user waits at the start.
    """
    digest = hashlib.sha256("\0".join(class_names).encode())
    digest.update(labels.astype("<i8").tobytes())
    digest.update(contents.sizes.astype("<i8").tobytes())
    if contents.sizes.sum() < MAX_HASHED_BYTES:
        for row in range(len(labels)):
            digest.update(contents.read(row))
    return digest.hexdigest()


def decode_rgb(encoded: bytes, *, name: str, found: str = "dataset.path holds") -> UInt8[np.ndarray, "h w 3"]:
    """Decode one picture to 8-bit RGB, turned upright as its EXIF says; grey becomes three equal channels.

    `found` is how an error begins.

    Raises:
        UserError: for bytes that are no picture, and for 16-bit or float pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; pixels that cannot be had are an error
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded), formats=_formats(encoded)) as image:
                turn = orientation(image)
                image.load()
                return _to_rgb(image, turn, name, found)
    except UserError:
        raise
    except (
        Exception
    ) as error:  # what a decoder raises for damaged bytes is its own affair: struct.error, KeyError, ...
        unknown = isinstance(error, UnidentifiedImageError)  # which says no more than an address in memory
        reason = (
            "not one of these formats" if unknown else (str(error) or type(error).__name__).splitlines()[0]
        )
        raise UserError(
            f"{found} an unreadable image, {name} ({reason}); legal: whole {', '.join(FORMATS)} files"
        ) from error


def _decoders() -> str:
    """What the pixels depend on beside the stored bytes; 1 is the version of `decode_rgb`."""
    versions = (f"{name} {features.version(name)}" for name in ("jpg", "webp"))
    return f"decode 1, Pillow {Image.__version__}, {', '.join(versions)}"


def stored_as(encoded: bytes) -> tuple[str, int]:
    """Format and pixel mode of a picture that can be decoded, and its orientation; of bytes of pixels: upright pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(encoded), formats=_formats(encoded)) as image:
                return f"{image.format} {image.mode}", orientation(image)
        except UnidentifiedImageError:
            return "pixels", 1


def orientation(image: Image.Image) -> int:
    """EXIF's word for how the camera was held, 1 to 8; 1, upright, where it cannot be read."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
    except Exception:  # struct.error, KeyError, TypeError, ...: metadata are no reason to refuse a picture
        return 1
    return found if found in UPRIGHT else 1


def _formats(encoded: bytes) -> tuple[str, ...]:
    # Pillow tries one decoder after the other, which takes longer than decoding a picture of 32 pixels.
    if encoded[8:12] == b"WEBP":
        return ("WEBP",)
    return next(((name,) for start, name in MAGIC.items() if encoded.startswith(start)), FORMATS)


def _to_rgb(image: Image.Image, turn: int, name: str, found: str) -> UInt8[np.ndarray, "h w 3"]:
    if image.mode not in EIGHT_BIT_MODES:
        raise UserError(f"{found} the image {name} of pixel mode {image.mode}; legal: 8-bit pixels")
    done = image.format == "TIFF"  # Pillow turns these itself
    upright = image if turn == 1 or done else image.transpose(UPRIGHT[turn])
    upright.info.update(image.info)
    if "transparency" in upright.info:
        upright = upright.convert("RGBA")
    return np.array(upright.convert("RGB"))


def _decode_row(contents: Contents, row: int) -> UInt8[np.ndarray, "h w 3"]:
    return decode_rgb(contents.read(row), name=contents.describe(row))
