"""What a run is: its config, and what the files and folders hold that the config points to."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from peftlab.config.file import FILE
from peftlab.config.name import config_hash, lasting
from peftlab.config.pointed import pointed
from peftlab.errors import UserError
from peftlab.record.content import content_of, is_content
from peftlab.record.yaml_file import read_yaml

OUT = "legal: another folder (hydra.run.dir=FOLDER), or resume=false, which clears this one and starts over"


class Identity:
    """Of a composed config. Two runs are one if their configs have the same hash and point to the same content."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self.hash = config_hash(config)

    @cached_property
    def saved(self) -> dict[str, Any]:
        """What status.json and result.json say of it: plain values. Reads the content.

        Raises:
            UserError: if a path cannot be read.
        """
        inputs = {}
        for key, path in pointed(self._config).items():
            try:
                inputs[key] = {"path": str(path.absolute()), **content_of(path)._asdict()}
            except OSError as error:
                raise UserError(
                    f"{key}: {path} cannot be read ({error.strerror}); legal: files that can"
                ) from error
        return {"config": self.hash, "inputs": inputs}

    def check(self, folder: Path, saved: Mapping[str, Any]) -> None:
        """That the run in a folder is this one; `saved` is what the property of this name was then.

        Raises:
            UserError: naming what is another one there.
        """
        if saved.get("config") != self.hash and (other := _differing(folder, self._config)):
            raise UserError(f"{folder} holds the run of another config: {other}; {OUT}")
        was = saved.get("inputs")
        for key, path in pointed(self._config).items():
            content = was.get(key) if isinstance(was, dict) else None
            if isinstance(content, dict) and _has_changed(path, content):
                raise UserError(
                    f"{folder}: {key} points to another content than when this run read it ({path} has changed); {OUT}"
                )


def _has_changed(path: Path, content: dict[str, Any]) -> bool:
    try:
        return not is_content(path, content)
    except OSError:  # gone, or unreadable: whoever needs it will say so, and a finished run does not
        return False


def _differing(folder: Path, config: dict[str, Any]) -> str:
    """The first keys of config.yaml that are not as in `config`, with both values."""
    try:
        saved = read_yaml(folder / FILE, "config")
    except (UserError, OSError):
        return f"its {FILE} cannot be read"
    here, there = dict(_flat(lasting(config))), dict(_flat(lasting(saved)))
    keys = [key for key in {**here, **there} if key != "format" and here.get(key) != there.get(key)]
    wrong = [f"{key}={there.get(key)} there, {here.get(key)} now" for key in keys]
    return "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")


def _flat(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """`peft.rank` -> 8 for every value."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
