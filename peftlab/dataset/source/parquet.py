"""The parquet files of a local copy of a hub data set, split by split."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from peftlab.dataset.source.link import is_inside
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

SHARD = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}(-[0-9a-f]+)?")


def find_parquet(folder: Path, *, key: str, root: Path | None = None) -> dict[str, list[Path]]:
    """The files of every split: `data/train-00000-of-00001.parquet`, `train.parquet` or `train/0000.parquet`.

    `root` is the data set's own folder, where that is another; no file lies outside of it.

    Raises:
        UserError: for a folder without parquet files, and for one that holds several configurations of a set.
    """
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*.parquet")):
        if any(part.startswith(".") or part == "__MACOSX" for part in file.relative_to(folder).parts):
            continue  # .ipynb_checkpoints, ._train.parquet
        if not is_inside(file, root or folder):
            raise UserError(
                f"{key}={folder} has {plain(file.name)}, a link out of the folder; legal: files inside it"
            )
        shard = SHARD.fullmatch(file.stem)
        split = shard["split"] if shard else file.parent.name if file.stem.isdigit() else file.stem
        files.setdefault(split, []).append(file)
    if not files:
        raise UserError(
            f"{key}={folder} holds no parquet file; legal: data/train-00000-of-00001.parquet and so on, or"
            " dataset=image_folder for class folders, dataset=text_folder for .csv and .jsonl files"
        )
    for split, found in files.items():
        parents = sorted({str(file.parent.relative_to(folder)) for file in found})
        if len(parents) > 1:
            raise UserError(
                f"{key}={folder} has the split {split} in several folders; legal: one of {', '.join(parents)}"
            )
    return files


def read_parquet(files: list[Path]) -> pa.Table:
    """One split as a table in memory; no cache is written anywhere.

    Raises:
        UserError: for a file that is not parquet.
    """
    tables = []
    for file in files:
        try:
            tables.append(pq.ParquetFile(file).read())
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"dataset.path holds the unreadable file {plain(str(file))}; legal: a whole parquet file"
            ) from error
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise UserError(
            f"dataset.path: {plain(str(files[0]))} and the files beside it have other columns ({str(error).splitlines()[0]});"
            " legal: the same columns in each file of a split"
        ) from error
