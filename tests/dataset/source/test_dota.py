"""Objects cut out of images as DOTA v1.0 has them: drawn here, so that the pixels of each crop are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from peftlab.dataset.source.dota import CLASSES, Box, boxes, crop_objects
from peftlab.errors import MissingData, UserError

SOURCE: dict[str, Any] = {"train_list": "train.txt", "test_list": "val.txt"}
HEAD = "imagesource:GoogleEarth\ngsd:0.146343590398\n"
WIDTH, HEIGHT = 40, 30


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def write(root: Path, half: str, texts: dict[str, str]) -> None:
    for kind in ("images", "labelTxt"):
        (root / "DOTA-v1.0" / half / kind).mkdir(parents=True, exist_ok=True)
    for seed, (name, text) in enumerate(texts.items()):
        Image.fromarray(pixels(seed)).save(root / "DOTA-v1.0" / half / "images" / f"{name}.png")
        (root / "DOTA-v1.0" / half / "labelTxt" / f"{name}.txt").write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    upright = "2.0 3.0 12.0 3.0 12.0 9.0 2.0 9.0 ship 0\n"
    difficult = "20 10 25 10 25 20 20 20 small-vehicle 1\n"
    rotated = "30.4 5.0 35.0 10.2 30.6 15.5 26.1 10.0 plane 0\n"
    at_the_border = "-3 -2 4 -2 4 5 -3 5 harbor 0\n35 25 44 25 44 33 35 33 harbor 2\n"
    outside = "50 50 60 50 60 60 50 60 bridge 0\n"
    write(tmp_path, "train", {"P0000": HEAD + upright + difficult + rotated, "P0001": HEAD, "P0002": ""})
    write(tmp_path, "val", {"P0003": HEAD + at_the_border + outside + upright.strip()})
    return tmp_path


def test_each_object_is_a_file_and_a_line(root: Path) -> None:
    """Difficult objects, too; a rotated one as the box along the axes around it; at a border what is inside."""
    lists = crop_objects("dota", root, SOURCE)
    assert lists["train.txt"].splitlines() == [
        "train/ship/P0000_2_3_12_9.png 9",
        "train/small-vehicle/P0000_20_10_25_20.png 10",
        "train/plane/P0000_26_5_35_16.png 7",
    ]
    assert lists["val.txt"].splitlines() == [
        "val/harbor/P0003_0_0_4_5.png 4",
        "val/harbor/P0003_35_25_40_30.png 4",
        "val/ship/P0003_2_3_12_9.png 9",
    ]
    for text, seed in ((lists["train.txt"], 0), (lists["val.txt"], 0)):
        for path in (line.split()[0] for line in text.splitlines()):
            left, top, right, bottom = map(int, Path(path).stem.split("_")[1:])
            with Image.open(root / path) as image:
                assert np.array_equal(np.array(image), pixels(seed)[top:bottom, left:right])
    assert len(list(root.glob("*/*/*.png"))) == 6


def test_the_box_holds_its_corners_and_is_the_smallest(root: Path) -> None:
    """Random quadrilaterals: no corner is outside, and each side is less than a pixel from one."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(1, 29, (20, 8)).round(2)
    text = "".join(f"{' '.join(map(str, row))} bridge 0\n" for row in corners.tolist())
    write(root, "train", {"P0000": text, "P0001": "", "P0002": ""})
    lines = crop_objects("dota", root, SOURCE)["train.txt"].splitlines()
    found = np.array([Path(line.split()[0]).stem.split("_")[1:] for line in lines]).astype(int)
    x, y = corners[:, ::2], corners[:, 1::2]
    wanted = np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], 1)
    outward = (found - wanted) * np.array([-1, -1, 1, 1])
    assert len(lines) == 20
    assert (outward >= 0).all()
    assert (outward < 1).all()


def test_boxes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "P.txt").write_text("\ufeff" + HEAD + "\n0 1 2 1 2 3 0 3 tennis-court\n", encoding="utf-8")
    assert boxes(tmp_path / "P.txt", tmp_path) == [Box((0, 1, 2, 1, 2, 3, 0, 3), "tennis-court")]


@pytest.mark.parametrize(
    "line",
    ["1 2 3", "0 1 2 1 2 3 0 3", "0 1 2 1 2 3 0 x ship 0", "0 1 2 1 2 3 0 nan ship 0", "0 1 2 1 2 3 0 3 zeppelin 0"],
)  # fmt: skip
def test_a_wrong_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "P.txt").write_text(HEAD + line)
    with pytest.raises(
        UserError, match=rf"^line 3 of .*/P\.txt is '{line}'; legal: eight numbers, then one of base"
    ):
        boxes(tmp_path / "P.txt", tmp_path)


def test_what_is_missing_is_named(root: Path) -> None:
    (root / "DOTA-v1.0" / "val" / "labelTxt" / "P0003.txt").unlink()
    with pytest.raises(
        MissingData, match=r"^dota: P0003 lacks its \.png in .*/val/images or its \.txt in .*/labelTxt"
    ):
        crop_objects("dota", root, SOURCE)
    (root / "DOTA-v1.0" / "val" / "labelTxt").rmdir()
    with pytest.raises(MissingData, match=r"^dota: there is no folder .*/DOTA-v1\.0/val/labelTxt; legal: "):
        crop_objects("dota", root, SOURCE)


def test_a_damaged_image_is_named(root: Path) -> None:
    (root / "DOTA-v1.0" / "train" / "images" / "P0000.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(
        UserError, match=r"/train/images/P0000\.png cannot be read .*; legal: whole PNG files$"
    ):
        crop_objects("dota", root, SOURCE)


def test_there_are_15_classes() -> None:
    assert len(CLASSES) == 15
