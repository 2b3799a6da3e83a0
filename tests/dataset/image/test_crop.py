"""Geometry against torchvision: boxes by distribution and closed form, pixels exactly."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from peftlab.dataset.image.crop import centre_crop, crop_box, pad_crop, random_resized_crop, view_crops
from peftlab.stream import generator


def pictures(number: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (number, 3, height, width), generator=generator(0, height), dtype=torch.uint8
    )


def streams(number: int, seed: int = 0) -> list[torch.Generator]:
    return [generator(seed, item) for item in range(number)]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width", "crop_pct"), [(40, 60, 0.9), (60, 41, 0.875), (33, 20, 0.8)])
def test_centre_crop_is_the_standard_evaluation(
    interpolation: str, height: int, width: int, crop_pct: float
) -> None:
    mode = functional.InterpolationMode(interpolation)
    standard = v2.Compose([v2.Resize(int(32 / crop_pct), mode, antialias=True), v2.CenterCrop(32)])
    images = pictures(3, height, width)
    cropped = centre_crop(images, (), size=32, interpolation=interpolation, crop_pct=crop_pct)
    assert torch.equal(cropped, standard(images))
    assert torch.equal(
        cropped, centre_crop(list(images), (), size=32, interpolation=interpolation, crop_pct=crop_pct)
    )


@pytest.mark.parametrize("side", [8, 20, 32])
def test_a_picture_without_border_is_only_resized(side: int) -> None:
    images = pictures(2, side, side)
    cropped = centre_crop(images, (), size=32, interpolation="bicubic", crop_pct=0.5)
    assert torch.equal(cropped, functional.resize(images, [32, 32], functional.InterpolationMode.BICUBIC))


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 41), (20, 20)])
def test_views_are_corners_and_centre_of_a_larger_picture(height: int, width: int, mirrored: bool) -> None:
    images, mode = pictures(2, height, width), functional.InterpolationMode.BICUBIC
    found = view_crops(images, (), size=16, interpolation="bicubic", expand=4, mirrored=mirrored)
    larger = functional.resize(images, [20], mode, antialias=True)
    down, right = larger.shape[2] - 16, larger.shape[3] - 16
    places = [(0, 0), (0, right), (down, 0), (down, right), (round(down / 2), round(right / 2))]
    crops = [
        own[:, :, top : top + 16, left : left + 16]
        for own in (larger, larger.flip(-1))
        for top, left in places
    ]
    assert torch.equal(found, torch.stack(crops[: 10 if mirrored else 5], dim=1))
    of_list = view_crops(list(images), (), size=16, interpolation="bicubic", expand=4, mirrored=mirrored)
    assert torch.equal(of_list, found), "pictures that are not kept decoded come as a list"


@pytest.mark.parametrize("flip", [True, False])
def test_pad_crop_cuts_windows_of_the_reflected_picture(flip: bool) -> None:
    images = pictures(400, 16, 16)
    padded = functional.pad(images, [2, 2, 2, 2], padding_mode="reflect")
    out = pad_crop(images, streams(400), size=16, interpolation="bilinear", flip=flip)
    seen: dict[tuple[int, int, bool], int] = {}
    for item in range(400):
        windows = {
            (top, left, mirror): padded[item, :, top : top + 16, left : left + 16].flip(
                [-1] if mirror else []
            )
            for top in range(5)
            for left in range(5)
            for mirror in (False, True)
        }
        (found,) = [key for key, window in windows.items() if torch.equal(window, out[item])]
        seen[found] = seen.get(found, 0) + 1
    assert {key[:2] for key in seen} == {(top, left) for top in range(5) for left in range(5)}
    mirrored = sum(number for key, number in seen.items() if key[2])
    assert (
        (abs(mirrored - 200) < 4 * 10) if flip else mirrored == 0
    )  # binomial(400, 1/2): standard deviation 10


def test_pad_crop_resizes_first() -> None:
    small = pictures(5, 8, 8)
    large = functional.resize(small, [16, 16], functional.InterpolationMode.BICUBIC)
    outs = [pad_crop(x, streams(5), size=16, interpolation="bicubic", flip=True) for x in (small, large)]
    assert torch.equal(outs[0], outs[1])


def test_boxes_have_torchvisions_distribution() -> None:
    height, width, scale = 60, 90, (0.2, 0.9)
    image = torch.empty(3, height, width, dtype=torch.uint8)
    theirs_of = v2.RandomResizedCrop(32, scale=scale)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        params = [theirs_of.make_params([image]) for _ in range(4000)]
    theirs = np.array([[p[key] for key in ("top", "left", "height", "width")] for p in params])
    draws = torch.rand(4000, 41, generator=generator(0, "boxes")).tolist()
    ours = np.array([crop_box(draw, height, width, scale) for draw in draws])

    def features(boxes: np.ndarray) -> list[np.ndarray]:
        top, left, high, wide = boxes.T
        return [
            high * wide,
            wide / high,
            top / np.maximum(height - high, 1),
            left / np.maximum(width - wide, 1),
            wide,
        ]

    assert [ks_2samp(a, b).pvalue > 1e-3 for a, b in zip(features(ours), features(theirs), strict=True)] == [
        True
    ] * 5
    assert (ours[:, 0] >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()


def test_a_box_in_closed_form() -> None:
    # area 0.25 + 0.5 * 0.5 = 0.5 of 64 * 64; aspect exp(log(3/4) + 0.5 * 2 log(4/3)) = 1
    side = round(math.sqrt(0.5 * 64 * 64))
    assert crop_box([0.5, 0.5, 0.0, 0.999999] + [0.0] * 36, 64, 64, (0.25, 0.75)) == (
        0,
        64 - side,
        side,
        side,
    )


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [(10, 100, (0, 43, 10, 13)), (100, 10, (43, 0, 13, 10)), (30, 30, (0, 0, 30, 30))],
)
def test_the_central_box_where_none_fits(height: int, width: int, box: tuple[int, int, int, int]) -> None:
    draw = [0.5, 0.0 if height == width else 0.5, 0.5, 0.5] * 10
    assert crop_box(draw, height, width, (1.0, 1.0)) == box


def test_an_aspect_above_1_is_wide() -> None:
    # every area is 0.48, the largest aspect 4/3: sides 64 sqrt(0.48 * 3/4) and 64 sqrt(0.48 * 4/3)
    assert crop_box([0.5, 1.0, 0.0, 0.0] + [0.0] * 36, 64, 64, (0.48, 0.48)) == (0, 0, 38, 51)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_random_resized_crop_has_torchvisions_pixels(interpolation: str) -> None:
    images = pictures(40, 24, 30)
    out = random_resized_crop(
        images, streams(40), size=16, interpolation=interpolation, scale=(0.1, 1.0), flip=True
    )
    as_list = random_resized_crop(
        list(images), streams(40), size=16, interpolation=interpolation, scale=(0.1, 1.0), flip=True
    )
    assert torch.equal(out, as_list)
    mirrored = 0
    for item, own in enumerate(streams(40)):
        box = crop_box(torch.rand(41, generator=own).tolist(), 24, 30, (0.1, 1.0))
        square = functional.resized_crop(
            images[item], *box, [16, 16], functional.InterpolationMode(interpolation), antialias=True
        )
        is_mirrored = torch.equal(out[item], square.flip(-1))
        assert is_mirrored or torch.equal(out[item], square)
        mirrored += is_mirrored
    assert 8 < mirrored < 32


def test_flip_false_mirrors_nothing() -> None:
    images = pictures(20, 16, 16)
    both = [
        random_resized_crop(
            images, streams(20), size=16, interpolation="bilinear", scale=(1.0, 1.0), flip=flip
        )
        for flip in (False, True)
    ]
    same = [torch.equal(a, b) for a, b in zip(*both, strict=True)]
    assert 0 < sum(same) < 20
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(-1)) for a, b in zip(*both, strict=True))
