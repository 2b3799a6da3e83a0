"""A split made of encoded pictures: files of a folder, cells of a table."""

import hashlib
import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image, ImageOps

from peftlab.dataset.image.images import shared_images
from peftlab.dataset.split import Split
from peftlab.errors import UserError

MAX_HASHED_BYTES = 2**30
MAGIC = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def encoded_split(
    class_names: Sequence[str],
    labels: Int64[np.ndarray, " n"],
    sizes: Int64[np.ndarray, " n"],
    read: Callable[[int], bytes],
    describe: Callable[[int], str],
) -> Split:
    """All rows of a source: `read(row)` gives `sizes[row]` bytes, `describe(row)` names it in errors."""
    key = fingerprint(class_names, labels, sizes, read)
    images = shared_images(partial(_decode_row, read, describe), num_images=len(labels), fingerprint=key)
    return Split(images, labels, np.arange(len(labels), dtype=np.int64))


def fingerprint(
    class_names: Sequence[str],
    labels: Int64[np.ndarray, " n"],
    sizes: Int64[np.ndarray, " n"],
    read: Callable[[int], bytes],
) -> str:
    """sha256 over class names, labels, sizes and content: the same for a hub set and for a local copy of it.

    Above 1 GiB the content is left out, because reading it would take longer than a user waits at the start.
    """
    digest = hashlib.sha256("\0".join(class_names).encode())
    digest.update(labels.astype("<i8").tobytes())
    digest.update(sizes.astype("<i8").tobytes())
    if sizes.sum() < MAX_HASHED_BYTES:
        for row in range(len(labels)):
            digest.update(read(row))
    return digest.hexdigest()


def decode_rgb(encoded: bytes, *, name: str, found: str = "dataset.path holds") -> UInt8[np.ndarray, "h w 3"]:
    """Decode one picture to 8-bit RGB, turned upright as its EXIF says; grey becomes three equal channels.

    `found` is how an error begins.

    Raises:
        UserError: for bytes that are no picture, and for 16-bit or float pixels.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=_formats(encoded)) as image:
            image.load()
            return _to_rgb(image, name, found)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{found} an unreadable image, {name} ({reason}); legal: whole PNG, JPEG, WebP, ..."
        ) from error


def _formats(encoded: bytes) -> tuple[str, ...] | None:
    # Pillow tries one decoder after the other, which takes longer than decoding a picture of 32 pixels.
    if encoded[8:12] == b"WEBP":
        return ("WEBP",)
    return next(((name,) for start, name in MAGIC.items() if encoded.startswith(start)), None)


def _to_rgb(image: Image.Image, name: str, found: str) -> UInt8[np.ndarray, "h w 3"]:
    if image.mode not in EIGHT_BIT_MODES:
        raise UserError(f"{found} the image {name} of pixel mode {image.mode}; legal: 8-bit pixels")
    upright = ImageOps.exif_transpose(image) if image.format == "JPEG" else image
    if "transparency" in upright.info:
        upright = upright.convert("RGBA")
    return np.array(upright.convert("RGB"))


def _decode_row(
    read: Callable[[int], bytes], describe: Callable[[int], str], row: int
) -> UInt8[np.ndarray, "h w 3"]:
    return decode_rgb(read(row), name=describe(row))
