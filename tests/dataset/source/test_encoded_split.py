"""Decoding to 8-bit RGB, the fingerprint, and the picture's name in an error."""

import io
import struct
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from peftlab.dataset.items import Contents
from peftlab.dataset.source import encoded_split as module
from peftlab.dataset.source.encoded_split import decode_rgb, encoded_split, fingerprint
from peftlab.errors import UserError

Picture = Callable[..., np.ndarray]
Encoded = Callable[..., bytes]


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {})])
def test_lossless_kinds_come_back(
    picture: Picture, encoded: Encoded, kind: str, options: dict[str, Any]
) -> None:
    pixels = picture(0, 9, 7)
    assert np.array_equal(decode_rgb(encoded(pixels, kind, **options), name="a"), pixels)


def test_jpeg_is_what_pillow_reads(picture: Picture, encoded: Encoded) -> None:
    data = encoded(picture(0, 16, 8), "JPEG")
    assert np.array_equal(decode_rgb(data, name="a"), np.asarray(Image.open(io.BytesIO(data))))


def test_a_photograph_is_turned_upright(picture: Picture, encoded: Encoded) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first stored row is the right edge
    stored = picture(0, 16, 8)
    plain = decode_rgb(encoded(stored, "JPEG"), name="a")
    assert np.array_equal(decode_rgb(encoded(stored, "JPEG", exif=exif), name="a"), np.rot90(plain, k=-1))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_each_format_is_turned_once(picture: Picture, encoded: Encoded, kind: str, turn: int) -> None:
    """As Pillow turns it, which is another path through other code."""
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(picture(0, 16, 8), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert expected.size == ((8, 16) if turn < 5 else (16, 8))
    assert np.array_equal(decode_rgb(data, name="a"), np.asarray(expected))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02", b"Exif\0\0" + bytes(40)]
)  # fmt: skip
def test_odd_metadata_are_no_reason_to_refuse(
    picture: Picture, encoded: Encoded, kind: str, exif: bytes
) -> None:
    assert decode_rgb(encoded(picture(0, 16, 8), kind, exif=exif), name="a").shape == (16, 8, 3)


@pytest.mark.parametrize("turn", [0, 9, -1, "six", 2.5])
def test_an_odd_orientation_is_upright(picture: Picture, encoded: Encoded, turn: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = encoded(picture(0, 16, 8), "PNG", exif=exif)
        except (struct.error, TypeError, ValueError):
            pytest.skip("Pillow does not write it")
    assert decode_rgb(data, name="a").shape == (16, 8, 3)


@pytest.mark.parametrize(
    "data", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", b"<svg/>", b"MZ"]
)
def test_only_the_decoders_that_are_named(data: bytes) -> None:
    """An EPS called .png starts no program."""
    with pytest.raises(UserError, match=r"\(not one of these formats\); legal: whole PNG"):
        decode_rgb(data, name="a.png")


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P"])
def test_grey_and_palettes_become_three_channels(picture: Picture, mode: str) -> None:
    image = Image.fromarray(picture(0, 9, 7)[..., 0]).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    pixels = decode_rgb(buffer.getvalue(), name="a")
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_sixteen_bits_are_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 4000, dtype=np.uint16)).save(buffer, "PNG")
    with pytest.raises(
        UserError, match=r"^dataset\.path holds the image x\.png of pixel mode I;16; legal: 8-bit"
    ):
        decode_rgb(buffer.getvalue(), name="x.png")


@pytest.mark.parametrize("cut", [0, 20, 60])
def test_a_broken_picture_is_named(picture: Picture, encoded: Encoded, cut: int) -> None:
    with pytest.raises(
        UserError, match=r"^dataset\.path holds an unreadable image, cat/7\.png \(.+\); legal: whole"
    ):
        decode_rgb(encoded(picture(0))[:cut], name="cat/7.png")


def _split(names: list[str], labels: list[int], data: list[bytes]) -> str:
    ids, sizes = np.array(labels, dtype=np.int64), np.array([len(one) for one in data], dtype=np.int64)
    return fingerprint(names, ids, Contents(sizes, data.__getitem__, str))


def test_fingerprint_sees_names_labels_sizes_and_content() -> None:
    prints = [
        _split(["a", "b"], [0, 1], [b"xy", b"z"]),
        _split(["a", "c"], [0, 1], [b"xy", b"z"]),
        _split(["a", "b"], [1, 0], [b"xy", b"z"]),
        _split(["a", "b"], [0, 1], [b"x", b"yz"]),
        _split(["a", "b"], [0, 1], [b"xy", b"w"]),
    ]
    assert len(set(prints)) == len(prints)
    assert prints[0] == _split(["a", "b"], [0, 1], [b"xy", b"z"])


def test_a_large_set_is_known_by_its_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HASHED_BYTES", 3)
    assert _split(["a"], [0], [b"xyz"]) == _split(["a"], [0], [b"uvw"]) != _split(["a"], [0], [b"xyzw"])


def test_rows_of_a_split_decode_their_own_bytes(picture: Picture, encoded: Encoded) -> None:
    data = [encoded(picture(row)) for row in range(3)]
    sizes = np.array([len(one) for one in data], dtype=np.int64)
    split = encoded_split(["a"], np.zeros(3, dtype=np.int64), Contents(sizes, data.__getitem__, str))
    taken = split.items.take(np.array([2, 0], dtype=np.int64))
    assert np.array_equal(taken[0].permute(1, 2, 0).numpy(), picture(2))
    assert np.array_equal(taken[1].permute(1, 2, 0).numpy(), picture(0))
