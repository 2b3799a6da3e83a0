"""Worse pictures against closed forms and scipy, and the pictures of a split."""

import pickle
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from peftlab.dataset.image.images import Images
from peftlab.dataset.image.shift import STRENGTHS, Kind, ShiftedImages, shifted
from peftlab.stream import generator

KINDS = get_args(Kind)


def picture(height: int = 40, width: int = 30, seed: int = 0) -> Tensor:
    drawn = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    return torch.from_numpy(drawn)


def eight_bit(pixels: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def test_the_strengths_are_those_of_imagenet_c() -> None:
    assert STRENGTHS == {
        "noise": (0.08, 0.12, 0.18, 0.26, 0.38),
        "blur": (1, 2, 3, 4, 6),
        "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    }


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_contrast_in_closed_form(severity: int) -> None:
    share = STRENGTHS["contrast"][severity - 1]
    image = picture().double().numpy() / 255
    mean = image.mean((1, 2), keepdims=True)
    found = shifted(picture(), 0, kind="contrast", severity=severity)
    assert np.abs(found.numpy().astype(int) - eight_bit(mean + share * (image - mean))).max() <= 1


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("height", "width"), [(224, 224), (40, 30), (8, 300)])
def test_blur_is_scipy_s_with_a_width_in_proportion(severity: int, height: int, width: int) -> None:
    sigma = STRENGTHS["blur"][severity - 1] * min(height, width) / 224
    image = picture(height, width)
    expected = gaussian_filter(image.double().numpy() / 255, (0, sigma, sigma), mode="nearest", truncate=4)
    found = shifted(image, 0, kind="blur", severity=severity).numpy().astype(int)
    assert np.abs(found - eight_bit(expected)).max() <= 1  # where float32 rounds to the other side
    assert (found == eight_bit(expected)).mean() > 0.999


def test_noise_is_normal_of_the_row_alone_and_grows_with_severity() -> None:
    grey = torch.full((3, 60, 70), 128, dtype=torch.uint8)
    drawn = torch.randn((3, 60, 70), generator=generator(0, "shift", 7)).numpy().astype(np.float64)
    for severity, std in enumerate(STRENGTHS["noise"], 1):
        found = shifted(grey, 7, kind="noise", severity=severity).numpy().astype(int)
        assert np.abs(found - eight_bit(128 / 255 + std * drawn)).max() <= 1
        inside = np.abs(std * drawn) < 0.45
        rest = found[inside] / 255 - 128 / 255 - std * drawn[inside]
        assert np.abs(rest).max() <= 0.5 / 255 + 1e-6
    assert not torch.equal(*(shifted(grey, row, kind="noise", severity=1) for row in (7, 8)))
    assert torch.equal(*(shifted(grey, 7, kind="noise", severity=1) for _ in range(2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_stay_in_range(kind: Kind, level: int) -> None:
    """Without contrast, blur and contrast leave a picture as it is."""
    flat = torch.full((3, 9, 9), level, dtype=torch.uint8)
    found = shifted(flat, 0, kind=kind, severity=5)
    assert found.dtype == torch.uint8
    assert torch.equal(found, flat) == (kind != "noise")


def images(sizes: list[tuple[int, int]]) -> Images:
    def decode(row: int) -> np.ndarray:
        return picture(*sizes[row], seed=row).permute(1, 2, 0).numpy()

    return Images(decode, num_images=len(sizes), fingerprint="noise")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [[(9, 8)] * 4, [(9, 8), (8, 9), (9, 8), (5, 5)]])
def test_pictures_of_a_split(kind: Kind, sizes: list[tuple[int, int]]) -> None:
    """One size as a tensor, several as a list; whatever else is in the batch."""
    plain = images(sizes)
    worse = ShiftedImages(plain, kind, 4)
    rows = np.array([2, 0, 3])
    worse.keep(rows)
    taken = worse.take(rows)
    assert isinstance(taken, Tensor) == (len(set(sizes)) == 1)
    for image, row in zip(taken, rows.tolist(), strict=True):
        assert torch.equal(image, shifted(picture(*sizes[row], seed=row), row, kind=kind, severity=4))
        assert torch.equal(image, worse.take(np.array([row]))[0])
    assert len({plain.fingerprint, worse.fingerprint, ShiftedImages(plain, kind, 3).fingerprint}) == 3
    assert (worse.noun, worse.is_hashed) == ("images", True)
    assert len(worse.take(np.array([], dtype=np.int64))) == 0


def test_workers_get_the_same_pictures() -> None:
    worse = ShiftedImages(Images(Decode(), num_images=2, fingerprint="noise"), "noise", 1)
    again = pickle.loads(pickle.dumps(worse))
    assert all(torch.equal(*pair) for pair in zip(worse.take(ROWS), again.take(ROWS), strict=True))


ROWS = np.array([0, 1])


class Decode:
    def __call__(self, row: int) -> np.ndarray:
        return picture(seed=row).permute(1, 2, 0).numpy()
