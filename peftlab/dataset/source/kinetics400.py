"""Kinetics-400: 400 actions in videos of ten seconds, by its lists of the parts of videos."""

import csv
import io
from collections import Counter
from pathlib import Path

from peftlab.dataset.source.list_file import text_of
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.video_split import Broken, Listed, on_disk, video_source
from peftlab.dataset.source.where import folder_of
from peftlab.errors import UserError
from peftlab.inputs.plain import plain

COLUMNS = ("label", "youtube_id", "time_start", "time_end")


def kinetics400(
    path: str | None,
    *,
    folder: str | None,
    train_list: str,
    train_root: str,
    test_list: str,
    test_root: str,
    broken: Broken,
) -> Source:
    """Lists with the columns label, youtube_id, time_start and time_end, and videos `ROOT/ID_000010_000020.mp4`, or in a folder
    of their class below it. What is gone from the source of the set is missing everywhere: `broken=skip`.

    Raises:
        UserError: for a list that is missing or has other columns.

    Source: Kay et al. 2017, arXiv:1705.06950; the files as https://github.com/cvdfoundation/kinetics-dataset gives them.
    """
    root = folder_of(path, folder)
    given = {"train": (train_list, train_root), "test": (test_list, test_root)}
    rows = {
        split: _rows(root, name, f"dataset.source.{split}_list={name}") for split, (name, _) in given.items()
    }
    names = sorted({row["label"] for row in rows["train"]})
    number = {name: place for place, name in enumerate(names)}
    splits = {}
    for split, (name, base) in given.items():
        unknown = next((row["label"] for row in rows[split] if row["label"] not in number), None)
        if unknown is not None:
            raise UserError(
                f"{plain(str(root / name))} has the class {plain(unknown)}, which {train_list} lacks"
            )
        splits[split] = Listed(
            [_file(root / base, row) for row in rows[split]], [number[row["label"]] for row in rows[split]]
        )
    return video_source(names, splits, broken, Counter())


def _rows(root: Path, name: str, option: str) -> list[dict[str, str]]:
    read = csv.DictReader(io.StringIO(text_of(root / name, option, root)))
    rows = list(read)
    if lacks := [column for column in COLUMNS if column not in (read.fieldnames or ())]:
        raise UserError(f"{plain(str(root / name))} has no column {lacks[0]}; legal: {', '.join(COLUMNS)}")
    wrong = next(
        (row for row in rows if not (str(row["time_start"]).isdigit() and str(row["time_end"]).isdigit())),
        None,
    )
    if wrong is not None:
        raise UserError(
            f"{plain(str(root / name))}: {plain(str(wrong['youtube_id']))} has no whole seconds as time_start and time_end"
        )
    return rows


def _file(base: Path, row: dict[str, str]) -> Path:
    """In the folder of the split, or in that of its class there, whose name may have underscores."""
    name = f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}.mp4"
    folders = (base, base / row["label"], base / row["label"].replace(" ", "_"))
    found = (on_disk(folder, name) for folder in folders)
    return next((path for path in found if path.exists()), base / name)
