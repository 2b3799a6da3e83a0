"""Any image data set of the Hugging Face hub, or a local folder of the same layout."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from peftlab.dataset.items import Contents
from peftlab.dataset.source.parquet import find_parquet, read_parquet
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.table import check_labels, class_names, table_contents, table_split
from peftlab.dataset.source.where import place_of
from peftlab.dataset.split import Split
from peftlab.errors import UserError

PROBE_S = 5


class Tables(NamedTuple):
    """The table of each split, and the folders that the files which it names lie in."""

    of: dict[str, Callable[[], pa.Table]]
    roots: tuple[Path, ...]


class Columns(NamedTuple):
    """The names of the columns that hold pictures and labels."""

    image: str
    label: str


def hub(
    path: str | None,
    *,
    hub_id: str | None,
    folder: str | None,
    config_name: str | None,
    train_split: str,
    val_split: str | None,
    test_split: str,
    image_column: str,
    label_column: str,
) -> Source:
    """`path` (a folder or a hub id) if given, else `$PEFTLAB_DATA/<folder>` if it exists, else `hub_id`.

    Raises:
        UserError: for a set that is in none of these places, and for a split or column that it does not have.
    """
    tables, roots = _find(path, hub_id, folder, config_name)
    wanted = {"train_split": train_split, "val_split": val_split, "test_split": test_split}
    for key, split in wanted.items():
        if split is not None and split not in tables:
            raise UserError(
                f"dataset.source.{key}={split} is not in the data set; legal: {', '.join(tables)}"
            )
    _check_apart(wanted)
    train_table = tables[train_split]()
    names = class_names(train_table, label_column=label_column)
    columns = Columns(image_column, label_column)
    read = partial(_read, names, columns, roots)
    train = read(train_split, lambda: train_table)
    val = None if val_split is None else read(val_split, tables[val_split])
    test = (test_split, tables[test_split])
    contents = partial(_contents, names, columns, roots, *test)
    return Source(names, train, val, partial(read, *test), test_contents=contents)


def _check_apart(wanted: dict[str, str | None]) -> None:
    """No item that is trained or selected on is tested on."""
    given = {key: split for key, split in wanted.items() if split is not None}
    for key, split in given.items():
        same = [other for other, theirs in given.items() if theirs == split and other != key]
        if same:
            raise UserError(
                f"dataset.source.{key}={split} and {same[0]}={split} are the same items; legal: a split of its own for each,"
                " or dataset.val_fraction with val_split=null"
            )


def _read(
    names: list[str], columns: Columns, roots: tuple[Path, ...], split: str, table: Callable[[], pa.Table]
) -> Split:
    image, label = columns
    return table_split(table(), names, image_column=image, label_column=label, split=split, roots=roots)


def _contents(
    names: list[str], columns: Columns, roots: tuple[Path, ...], split: str, table: Callable[[], pa.Table]
) -> Contents:
    """The pictures alone; a label that is in no class is told now, and not after the training."""
    found = table()
    check_labels(found, names, label_column=columns.label, split=split)
    return table_contents(found, columns.image, split, roots)


def _find(path: str | None, hub_id: str | None, folder: str | None, config_name: str | None) -> Tables:
    place = place_of(path, hub_id, folder)
    if place.folder is not None:
        return _local(place.folder, config_name)
    return _remote(place.hub_id, config_name, looked=place.looked)


def _local(root: Path, config_name: str | None) -> Tables:
    folder = root if config_name is None else root / config_name
    if not folder.is_dir():
        legal = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        raise UserError(
            f"dataset.source.config_name={config_name} is not in {root}; legal: null, {', '.join(legal)}"
        )
    files = find_parquet(folder, key="dataset.path", root=root)
    return Tables({split: partial(read_parquet, found) for split, found in files.items()}, (root,))


def _remote(hub_id: str, config_name: str | None, *, looked: str) -> Tables:
    # Imported here: 1.5 s that a local folder need not pay.
    import datasets
    from huggingface_hub.constants import HF_HUB_CACHE

    before = datasets.config.HF_HUB_OFFLINE
    try:
        # Without this the library tries an unreachable hub for half a minute before it looks into its cache.
        datasets.config.HF_HUB_OFFLINE = before or not _is_reachable(hub_id)
        found = datasets.load_dataset(hub_id, config_name)
    except (
        Exception
    ) as error:  # network, permission, layout: the kinds change with every release of the libraries
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"dataset.path: the hub data set {hub_id} could not be loaded ({reason}; {looked}); legal: a "
            "connection to the hub, dataset.path=FOLDER of its layout, or PEFTLAB_DATA=PARENT of such folders"
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = before
    own = Path(HF_HUB_CACHE, f"datasets--{hub_id.replace('/', '--')}")
    unpacked = Path(datasets.config.EXTRACTED_DATASETS_PATH)  # of archives
    return Tables({split: partial(_table, found[split]) for split in found}, (own, unpacked))


def _is_reachable(hub_id: str) -> bool:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(hub_id, timeout=PROBE_S)
    except HfHubHTTPError:
        return True  # it answered: load_dataset will say what is wrong with the id
    except Exception:  # no network, or HF_HUB_OFFLINE
        return False
    return True


def _table(found: object) -> pa.Table:
    return found.data.table  # type: ignore[attr-defined]  # datasets.Dataset, which is not imported here
