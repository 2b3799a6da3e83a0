"""Class names, labels and pictures of an Arrow table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from peftlab.dataset.source.table import class_names, table_split
from peftlab.dataset.split import Split
from peftlab.errors import UserError

CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def read(table: pa.Table, names: list[str]) -> Split:
    return table_split(table, names, image_column="image", label_column="label", split="train")


@pytest.fixture
def table(
    picture: Callable[..., np.ndarray], encoded: Callable[..., bytes]
) -> Callable[[list[Any]], pa.Table]:
    def make(labels: list[Any]) -> pa.Table:
        cells = [{"bytes": encoded(picture(row)), "path": None} for row in range(len(labels))]
        return pa.table({"image": pa.array(cells, CELL), "label": pa.array(labels)})

    return make


def test_names_of_a_class_label(table: Callable[..., pa.Table]) -> None:
    feature = {"label": {"names": ["cat", "dog", "emu"], "_type": "ClassLabel"}}
    meta = {b"huggingface": json.dumps({"info": {"features": feature}}).encode()}
    assert class_names(table([0, 1]).replace_schema_metadata(meta), label_column="label") == [
        "cat",
        "dog",
        "emu",
    ]


def test_names_without_a_class_label(table: Callable[..., pa.Table]) -> None:
    assert class_names(table([2, 0]), label_column="label") == ["0", "1", "2"]
    words = table(["dog", "cat", "dog"])
    assert class_names(words, label_column="label") == ["cat", "dog"]
    assert read(words, ["cat", "dog"]).labels.tolist() == [1, 0, 1]


def test_pictures_in_structs_and_in_plain_binary_are_the_same_set(
    table: Callable[..., pa.Table], picture: Callable[..., np.ndarray]
) -> None:
    structs = table([0, 1, 0])
    plain = structs.set_column(0, "image", pa.array([cell["bytes"] for cell in structs["image"].to_pylist()]))
    splits = [
        read(structs, ["a", "b"]),
        read(plain, ["a", "b"]),
        read(pa.concat_tables([structs[:1], structs[1:]]), ["a", "b"]),
    ]
    assert len({split.index_hash() for split in splits}) == 1
    taken = splits[2].items.take(np.array([2], dtype=np.int64))
    assert np.array_equal(taken[0].permute(1, 2, 0).numpy(), picture(2))


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 2], ["a", "b"], "has the label 2 in row 1 of train; legal: one of the 2 classes"),
        ([0, -1], ["a", "b"], "has the label -1 in row 1 of train"),
        ([0, None], ["a", "b"], "has the label None in row 1 of train"),
        (["a", "c"], ["a", "b"], "has the label c in row 1 of train"),
    ],
)
def test_a_label_outside_the_classes(
    table: Callable[..., pa.Table], labels: list[Any], names: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.source\.label_column=label {message}"):
        read(table(labels), names)


def test_wrong_columns(table: Callable[..., pa.Table]) -> None:
    with pytest.raises(
        UserError, match=r"^dataset\.source\.label_column=fine is not in the data set; legal: image, label$"
    ):
        class_names(table([0]), label_column="fine")
    with pytest.raises(
        UserError, match=r"^dataset\.source\.label_column=image holds struct<.*; legal: a column of classes"
    ):
        class_names(table([0]), label_column="image")
    with pytest.raises(
        UserError, match=r"^dataset\.source\.image_column=label holds int64; legal: a column of images"
    ):
        table_split(table([0]), ["a"], image_column="label", label_column="label", split="train")


@pytest.mark.parametrize("cell", [{"bytes": None, "path": "gone.png"}, {"bytes": None, "path": None}, None])
def test_a_row_without_a_picture(table: Callable[..., pa.Table], cell: dict[str, Any] | None) -> None:
    broken = table([0]).set_column(0, "image", pa.array([cell], CELL))
    with pytest.raises(UserError, match=r"^dataset\.path has no image in row 0 of the split train.*; legal"):
        read(broken, ["a"])


def test_a_picture_that_is_named_by_its_path(
    table: Callable[..., pa.Table],
    tmp_path: Path,
    picture: Callable[..., np.ndarray],
    encoded: Callable[..., bytes],
) -> None:
    """It may lie in the folder of the data set and nowhere else."""
    root = tmp_path / "set"
    root.mkdir()
    for folder in (root, tmp_path):
        (folder / "a.png").write_bytes(encoded(picture(9)))
    (root / "link.png").symlink_to(tmp_path / "a.png")

    def split(path: str, *roots: Path) -> Split:
        cells = table([0]).set_column(0, "image", pa.array([{"bytes": None, "path": path}], CELL))
        columns = {"image_column": "image", "label_column": "label"}
        return table_split(cells, ["a"], split="train", roots=roots, **columns)

    for path in ("a.png", str(root / "a.png"), "./x/../a.png"):
        found = split(path, tmp_path / "other", root)
        assert np.array_equal(found.items.take(found.rows)[0].permute(1, 2, 0).numpy(), picture(9))
    for path in ("../a.png", str(tmp_path / "a.png"), "link.png", "/etc/passwd", "a\0b", ".", "\x1b[31m"):
        with pytest.raises(
            UserError, match=r"no image in row 0 of the split train but the path [ -~]*; legal"
        ):
            split(path, root)
    with pytest.raises(UserError):
        split(str(root / "a.png"))


@pytest.mark.parametrize("kind", [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.int8(), pa.int32()])
def test_labels_of_every_whole_number(table: Callable[..., pa.Table], kind: pa.DataType) -> None:
    cells = table([0, 1])
    cells = cells.set_column(cells.column_names.index("label"), "label", pa.array([0, 1], kind))
    assert read(cells, ["a", "b"]).labels.tolist() == [0, 1]


def test_labels_that_are_too_large(table: Callable[..., pa.Table]) -> None:
    """Before memory is taken for so many classes."""
    for value, kind in ((10**9, pa.int64()), (2**64 - 1, pa.uint64()), (2000, pa.int32())):
        cells = pa.table({"label": pa.array([0, value], kind)})
        with pytest.raises(UserError, match=rf"has the label {value} in 2 rows; legal: classes"):
            class_names(cells, label_column="label")
    cells = table([0, 1])
    cells = cells.set_column(
        cells.column_names.index("label"), "label", pa.array([0, 2**64 - 1], pa.uint64())
    )
    with pytest.raises(UserError, match=r"label_column=label of train holds labels that are too large"):
        read(cells, ["a", "b"])
