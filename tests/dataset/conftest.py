"""Small data sets that the tests make themselves: pictures, and words for what is the same of any kind of data."""

import io
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from fixtures.configs import composed
from PIL import Image

from peftlab.config.resolve import choice
from peftlab.dataset.cut import Cuts
from peftlab.dataset.dataset import Dataset, cut_dataset
from peftlab.dataset.image.images import Images
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.inputs.image import InputSpec


def noise(row: int, height: int = 12, width: int = 12) -> np.ndarray:
    """A picture that no other row has."""
    return np.random.default_rng(row).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file's bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """`picture(row, height, width)`: the pixels that the folders below hold."""
    return noise


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """`encoded(pixels, "WEBP", lossless=True)`: a file's bytes."""
    return encode


@pytest.fixture
def frames_at() -> Callable[..., np.ndarray]:
    """`frames_at(folder, 5, seed=1)`: a video as a folder of PNG files, and its pixels."""

    def make(folder: Path, number: int = 4, seed: int = 0, size: tuple[int, int] = (12, 16)) -> np.ndarray:
        folder.mkdir(parents=True)
        pixels = np.stack([noise(1000 * seed + place, *size) for place in range(number)])
        for place, frame in enumerate(pixels):
            (folder / f"{place:05d}.png").write_bytes(encode(frame))
        return pixels

    return make


@pytest.fixture
def spec() -> InputSpec:
    return InputSpec(
        size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.5), interpolation="bilinear", crop_pct=0.9
    )


@pytest.fixture
def memory_split() -> Callable[..., Split]:
    """`memory_split([3, 2])`: three pictures of class 0, two of class 1, interleaved, row ids 0-4."""

    def make(counts: list[int], height: int = 12, width: int = 12) -> Split:
        labels = (
            np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
        )
        decode = partial(noise, height=height, width=width)
        images = Images(decode, num_images=len(labels), fingerprint=f"noise {height} {width} {counts}")
        return Split(images, labels, np.arange(len(labels), dtype=np.int64))

    return make


@pytest.fixture
def class_folders(tmp_path: Path) -> Callable[..., Path]:
    """`class_folders({"train/cat": 3, "test/cat": 1})`: a folder of so many PNG files each."""

    def make(counts: dict[str, int], name: str = "images") -> Path:
        root = tmp_path / name
        start = 0
        for folder, number in counts.items():
            (root / folder).mkdir(parents=True)
            for index in range(number):
                (root / folder / f"{index:03d}.png").write_bytes(encode(noise(start + index)))
            start += number
        return root

    return make


@pytest.fixture
def parquet_folder(tmp_path: Path) -> Callable[..., Path]:
    """`parquet_folder({"train": [0, 0, 1], "test": [0, 1]})`: a hub layout without ClassLabel metadata."""

    def make(labels: dict[str, list[Any]], image: str = "image", label: str = "label") -> Path:
        root = tmp_path / "hub" / "data"
        root.mkdir(parents=True)
        for offset, (split, values) in enumerate(labels.items()):
            cells = [{"bytes": encode(noise(100 * offset + row)), "path": None} for row in range(len(values))]
            table = pa.table({image: pa.array(cells, _CELL), label: pa.array(values)})
            pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
        return root.parent

    return make


_CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def build(spec: InputSpec) -> Callable[..., Dataset]:
    """`build("digits_lt", imbalance=10.0)`: a YAML of the group, changed, resolved and called.

    `source` is a dict of changes to the source's keys, or a function that takes its place.
    """

    def make(name: str, /, *, run_seed: int = 0, **changes: Any) -> Dataset:
        config = composed(f"dataset={name}")["dataset"]
        source = changes.pop("source", {})
        config |= changes
        if callable(source):
            return choice(config)(spec, run_seed, source=source)
        config["source"] |= source
        return choice(config)(spec, run_seed)

    return make


class Words:
    """Items that are no pictures: row 3 is the word "word 3"."""

    fingerprint = "words"
    noun = "words"

    def take(self, rows: np.ndarray) -> list[str]:
        return [f"word {row}" for row in rows]

    def keep(self, rows: np.ndarray) -> None:
        pass


class ToTokens:
    """Bytes of each word, in training with one random number of the item's own behind them."""

    text = "bytes"

    def __call__(
        self, items: list[str], generators: Iterable[torch.Generator] = (), /
    ) -> dict[str, torch.Tensor]:
        tokens = [torch.tensor([ord(letter) for letter in f"{word:<8}"]) for word in items]
        drawn = [torch.rand(1, generator=own) for own in generators]
        return {"tokens": torch.stack(tokens), **({"noise": torch.cat(drawn)} if drawn else {})}


def locked() -> Split:
    raise AssertionError("the test split was opened")


@pytest.fixture
def word_split() -> Callable[[list[int]], Split]:
    """`word_split([3, 2])`: three words of class 0, two of class 1."""

    def make(counts: list[int]) -> Split:
        labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
        return Split(Words(), labels.astype(np.int64), np.arange(len(labels), dtype=np.int64))

    return make


@pytest.fixture
def cut(word_split: Callable[[list[int]], Split]) -> Callable[..., Dataset]:
    """`cut([16, 8, 2], val_fraction=0.5)`: so many words a class, and a test split that must stay shut."""

    def make(counts: list[int], run_seed: int = 0, *, val: Split | None = None, **changes: Any) -> Dataset:
        names = [f"class {number}" for number in range(len(counts))]
        keys: dict[str, Any] = {
            "imbalance": None,
            "max_per_class": None,
            "seed": 0,
            "groups": {"many_above": 10, "few_below": 5},
            "group_counts_imbalance": None,
            "val_fraction": 0.0,
        }
        return cut_dataset(
            "words",
            Source(names, word_split(counts), val, locked),
            Cuts(**(keys | changes), run_seed=run_seed),
            train_transform=ToTokens(),
            eval_transform=ToTokens(),
            num_workers=0,
        )

    return make


LETTERS = ["a", "b", "c", "d", "e", "f", "g", "h"]


def phrase(number: int) -> str:
    """Three words that no other number below 512 has."""
    return " ".join(LETTERS[number // 8**place % 8] for place in range(3))


@pytest.fixture
def text_folder_of(tmp_path: Path) -> Callable[..., Path]:
    """`text_folder_of({"train": [0, 0, 1], "test": [0, 1]})`: a text of its own for each of these labels; `more` are columns."""

    def make(labels: dict[str, list[Any]], more: dict[str, Callable[[int], Any]] | None = None) -> Path:
        root = tmp_path / "set" / "data"
        root.mkdir(parents=True)
        start = 0
        for split, values in labels.items():
            rows = range(start, start + len(values))
            columns = {"text": [phrase(row) for row in rows], "label": values}
            columns |= {name: [of(row) for row in rows] for name, of in (more or {}).items()}
            pq.write_table(pa.table(columns), root / f"{split}-00000-of-00001.parquet")
            start += len(values)
        return root.parent

    return make


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., Path]:
    """`listed({"train.txt": ["a/1.png 0"], "val.json": {"a/2.png": 3}}, "images")`: lists, and the PNG files that they name.

    Each file is a picture of its own, numbered in the order of the lists.
    """

    def make(lists: dict[str, Any], image_root: str = ".", folder: str = "set") -> Path:
        root, number = tmp_path / folder, 0
        for name, items in lists.items():
            paths = [line.rpartition(" ")[0] for line in items] if isinstance(items, list) else list(items)
            for path in paths:
                file = root / image_root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                if not file.exists():
                    file.write_bytes(encode(noise(number)))
                    number += 1
            text = "".join(f"{line}\n" for line in items) if isinstance(items, list) else json.dumps(items)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    return make
