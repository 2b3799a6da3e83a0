"""Small image sets that the tests write themselves."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from peftlab.build.instantiate import make as instantiate
from PIL import Image

from peftlab.dataset.dataset import Dataset
from peftlab.dataset.image.images import Images
from peftlab.dataset.split import Split
from peftlab.inputs.image import InputSpec

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "dataset"


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
    """`build("digits_lt", imbalance=10.0)`: a YAML of the group, changed, instantiated and called.

    `source` is a dict of changes to the source's keys, or a function that takes its place.
    """

    def make(name: str, /, *, run_seed: int = 0, **changes: Any) -> Dataset:
        config = OmegaConf.load(CONFIGS / f"{name}.yaml")
        source = changes.pop("source", {})
        config.update(changes)
        if callable(source):
            return instantiate(OmegaConf.to_container(config))(spec, run_seed, source=source)
        config.source.update(source)
        return instantiate(OmegaConf.to_container(config))(spec, run_seed)

    return make
