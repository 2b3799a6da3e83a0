"""The tables of a data set of the Hugging Face hub, split by split, or of a local folder of the same layout."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from peftlab.dataset.source.parquet import find_parquet, read_parquet
from peftlab.dataset.source.where import place_of
from peftlab.errors import UserError

PROBE_S = 5


class Tables(NamedTuple):
    """The table of each split, and the folders that the files which it names lie in."""

    of: dict[str, Callable[[], pa.Table]]
    roots: tuple[Path, ...]


class Splits(NamedTuple):
    """What the set calls its splits."""

    train: str
    val: str | None
    test: str

    def check(self, there: Collection[str]) -> None:
        """Raises: UserError for a split that the set lacks, and for one that would be trained or selected on and tested."""
        wanted = {f"{key}_split": split for key, split in self._asdict().items()}
        for key, split in wanted.items():
            if split is not None and split not in there:
                raise UserError(
                    f"dataset.source.{key}={split} is not in the data set; legal: {', '.join(there)}"
                )
        _check_apart(wanted)


def find_tables(path: str | None, hub_id: str | None, folder: str | None, config_name: str | None) -> Tables:
    """`path` (a folder or a hub id) if given, else `$PEFTLAB_DATA/<folder>` if it exists, else `hub_id`.

    Raises:
        UserError: for a set that is in none of these places.
    """
    place = place_of(path, hub_id, folder)
    if place.folder is not None:
        return _local(place.folder, config_name)
    return _remote(place.hub_id, config_name, looked=place.looked)


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
