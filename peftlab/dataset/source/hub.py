"""Any image data set of the Hugging Face hub, or a local folder of the same layout."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from peftlab.dataset.source.parquet import find_parquet, read_parquet
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.table import class_names, table_split
from peftlab.dataset.split import Split
from peftlab.errors import UserError

PROBE_S = 5


class Tables(NamedTuple):
    """The table of each split, and the folder that the files which it names lie in."""

    of: dict[str, Callable[[], pa.Table]]
    root: Path


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
    tables, root = _find(path, hub_id, folder, config_name)
    wanted = {"train_split": train_split, "val_split": val_split, "test_split": test_split}
    for key, split in wanted.items():
        if split is not None and split not in tables:
            raise UserError(
                f"dataset.source.{key}={split} is not in the data set; legal: {', '.join(tables)}"
            )
    _check_apart(wanted)
    train_table = tables[train_split]()
    names = class_names(train_table, label_column=label_column)
    read = partial(_read, names, image_column, label_column, root)
    train = read(train_split, lambda: train_table)
    val = None if val_split is None else read(val_split, tables[val_split])
    return Source(names, train, val, partial(read, test_split, tables[test_split]))


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
    names: list[str],
    image_column: str,
    label_column: str,
    root: Path,
    split: str,
    table: Callable[[], pa.Table],
) -> Split:
    return table_split(
        table(), names, image_column=image_column, label_column=label_column, split=split, root=root
    )


def _find(path: str | None, hub_id: str | None, folder: str | None, config_name: str | None) -> Tables:
    if path is not None:
        if not path.strip():
            raise UserError(
                "dataset.path is empty; legal: an existing folder, a hub id as owner/name, or null"
            )
        local = Path(path).expanduser()
        if local.is_dir():
            return _local(local, config_name)
        if (
            local.is_absolute()
            or path.startswith((".", "~"))
            or path.count("/") != 1
            or not all(path.split("/"))
        ):
            raise UserError(
                f"dataset.path={path} is not a folder; legal: an existing folder, or a hub id as owner/name"
            )
        return _remote(path, config_name, looked=f"no folder {path} here")
    root = os.environ.get("PEFTLAB_DATA")
    if root and folder and (Path(root) / folder).is_dir():
        return _local(Path(root) / folder, config_name)
    looked = f"no folder {Path(root) / folder}" if root and folder else "PEFTLAB_DATA is not set"
    if hub_id is not None:
        return _remote(hub_id, config_name, looked=looked)
    if folder is None:
        raise UserError(
            "dataset.path=null names no data set; legal: a hub id as owner/name, or a folder of its layout"
        )
    raise UserError(
        f"dataset.path=null and the set {folder} was not found ({looked}; no hub id is known); "
        "legal: dataset.path=FOLDER with data/train-00000-of-00001.parquet in it, or the environment "
        f"variable PEFTLAB_DATA=PARENT of a folder {folder}"
    )


def _local(root: Path, config_name: str | None) -> Tables:
    folder = root if config_name is None else root / config_name
    if not folder.is_dir():
        legal = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        raise UserError(
            f"dataset.source.config_name={config_name} is not in {root}; legal: null, {', '.join(legal)}"
        )
    files = find_parquet(folder, key="dataset.path")
    return Tables({split: partial(read_parquet, found) for split, found in files.items()}, root)


def _remote(hub_id: str, config_name: str | None, *, looked: str) -> Tables:
    # Imported here: 1.5 s that a local folder need not pay.
    import datasets

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
    cache = Path(datasets.config.HF_CACHE_HOME)
    return Tables({split: partial(_table, found[split]) for split in found}, cache)


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
