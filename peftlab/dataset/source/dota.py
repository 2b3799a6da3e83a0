"""The objects of DOTA v1.0 as pictures of their own."""

import math
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from peftlab.dataset.source.list_file import text_of
from peftlab.errors import MissingData, UserError
from peftlab.inputs.plain import plain

if TYPE_CHECKING:
    from PIL.Image import Image

CLASSES = (
    *("baseball-diamond", "basketball-court", "bridge", "ground-track-field", "harbor", "helicopter", "large-vehicle"),
    *("plane", "roundabout", "ship", "small-vehicle", "soccer-ball-field", "storage-tank", "swimming-pool", "tennis-court"),
)  # fmt: skip
HALVES = {"train": "train_list", "val": "test_list"}  # of what is published with labels; the test's are not
RAW = "DOTA-v1.0"
HEADER = ("imagesource:", "gsd:")


class Box(NamedTuple):
    """An object: the corners of its quadrilateral in pixels, x and y in turn, and its class."""

    corners: tuple[float, ...]
    name: str


def crop_objects(name: str, root: Path, source: Mapping[str, Any]) -> dict[str, str]:
    """Write `root/train/CLASS/IMAGE_x0_y0_x1_y1.png` for each object of `root/DOTA-v1.0/train`, and so for val; give the lists.

    A crop is the smallest box along the axes, in whole pixels, around the four corners, without what is outside of the
    image. Objects that are called difficult are objects. One that is outside of its image has no crop.

    Raises:
        UserError: for a file that is missing, and for a line that is no object.

    Source: the names in dota_val_idx.txt of doem97/metalora (Tian et al. 2025, arXiv:2603.01759). Differs: how they round
        and cut at the border is not published.
    """
    lists = {}
    for half, key in HALVES.items():
        labels, images = (root / RAW / half / kind for kind in ("labelTxt", "images"))
        for folder in (labels, images):
            if not folder.is_dir():
                raise MissingData(
                    f"{name}: there is no folder {plain(str(folder))}; legal: DOTA v1.0 as it is published"
                )
        files = sorted(labels.glob("*.txt"))
        without = {image.stem for image in images.glob("*.png")} ^ {file.stem for file in files}
        if without:
            raise MissingData(
                f"{name}: {plain(min(without))} lacks its .png in {plain(str(images))} or its .txt in {plain(str(labels))};"
                " legal: both of each"
            )
        lines = (
            line
            for file in files
            for line in _crops(images / f"{file.stem}.png", boxes(file, root), root, half)
        )
        lists[source[key]] = "".join(lines)
    return lists


def boxes(file: Path, root: Path) -> list[Box]:
    """The objects of a labelTxt file: `x1 y1 x2 y2 x3 y3 x4 y4 class difficult` in each line, after the lines of its header.

    Raises:
        UserError: for another line.
    """
    found = []
    for number, line in enumerate(text_of(file, file.name, root).split("\n"), 1):
        words = line.split()
        if not words or line.startswith(HEADER):
            continue
        try:
            corners = tuple(map(float, words[:8]))
        except ValueError:
            corners = ()
        if len(words) < 9 or not corners or not all(map(math.isfinite, corners)) or words[8] not in CLASSES:
            raise UserError(
                f"line {number} of {plain(str(file))} is {plain(line.strip())!r}; legal: eight numbers, then one of"
                f" {', '.join(CLASSES)}"
            )
        found.append(Box(corners, words[8]))
    return found


def _crops(file: Path, objects: list[Box], root: Path, half: str) -> Iterator[str]:
    """Save each object of an image; give its line of the list."""
    if not objects:
        return
    image = _opened(file)
    for box in objects:
        x, y = box.corners[::2], box.corners[1::2]
        left, top = max(0, math.floor(min(x))), max(0, math.floor(min(y)))
        right, bottom = min(image.width, math.ceil(max(x))), min(image.height, math.ceil(max(y)))
        if left < right and top < bottom:
            path = f"{half}/{box.name}/{file.stem}_{left}_{top}_{right}_{bottom}.png"
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            image.crop((left, top, right, bottom)).save(root / path)
            yield f"{path} {CLASSES.index(box.name)}\n"


def _opened(file: Path) -> "Image":
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # they are large
            with Image.open(file, formats=("PNG",)) as opened:
                return opened.convert("RGB")
    except Exception as error:  # what a decoder raises for damaged bytes is its own affair
        raise UserError(f"{plain(str(file))} cannot be read ({error}); legal: whole PNG files") from error
