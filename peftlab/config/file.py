"""config.yaml of a run folder: the one writer and the one reader of it."""

from pathlib import Path
from typing import Any

import yaml

from peftlab.config.upgrade import FORMAT, upgraded
from peftlab.record.whole import check_whole
from peftlab.record.yaml_file import read_yaml

FILE = "config.yaml"


def config_text(config: dict[str, Any]) -> str:
    """The resolved config as YAML, headed by the format that says how it is to be read."""
    return yaml.safe_dump({"format": FORMAT, **config}, sort_keys=False)


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a run in the words of this peftlab, whichever version wrote it.

    Raises:
        UserError: if the file is none that this peftlab can read, or not the one that the run wrote.
    """
    found = read_yaml(folder / FILE, "config")
    check_whole(folder, FILE)
    return upgraded(found, folder)
