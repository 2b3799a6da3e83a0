"""Which file belongs to which split."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from peftlab.dataset.source.parquet import find_parquet, read_parquet
from peftlab.errors import UserError


def write(file: Path, values: list[int]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"x": values}), file)


@pytest.mark.parametrize(
    "names",
    [
        [
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
            "data/test-00000-of-00001.parquet",
        ],
        [
            "data/train-00000-of-00002-0a1f.parquet",
            "data/train-00001-of-00002-9c.parquet",
            "data/test.parquet",
        ],
        ["default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"],
    ],
)
def test_layouts(tmp_path: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        write(tmp_path / name, [number])
    files = find_parquet(tmp_path, key="dataset.path")
    assert {split: read_parquet(found).column("x").to_pylist() for split, found in files.items()} == {
        "train": [0, 1],
        "test": [2],
    }


def test_several_configurations_are_not_mixed(tmp_path: Path) -> None:
    for name in ("coarse", "fine"):
        write(tmp_path / name / "train-00000-of-00001.parquet", [1])
    with pytest.raises(
        UserError,
        match=r"^dataset\.path=.* has the split train in several folders; legal: one of coarse, fine",
    ):
        find_parquet(tmp_path, key="dataset.path")


def test_no_parquet_file(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^dataset\.path=.* holds no parquet file; legal: .*dataset=image_folder"
    ):
        find_parquet(tmp_path, key="dataset.path")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match=r"unreadable file .*train\.parquet; legal: a whole parquet file"):
        read_parquet([tmp_path / "train.parquet"])
