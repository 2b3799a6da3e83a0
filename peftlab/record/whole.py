"""result.json names the files of a finished run, each with its size and SHA-256: are they there, and still the same?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peftlab.errors import UserError
from peftlab.record.content import file_sha256
from peftlab.record.folder import WRITTEN
from peftlab.record.json_file import read_json

RESULT = "result.json"
# not named: status.json changes after it, and last/ may be removed to save space
UNNAMED = ("status.json", RESULT, "last/state.pt")
WAY_OUT = "legal: the same command with resume=false, which runs it again"


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What result.json says of the files that are there: size and sha256 by name."""
    found = [name for name in WRITTEN if name not in UNNAMED and (folder / name).is_file()]
    return {
        name: {"size": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)} for name in found
    }


def lost_file(folder: Path, result: Mapping[str, Any]) -> str | None:
    """The first file that result.json names and that is not there in its size; None if all are. Costs no reading."""
    for name, said in _named(result).items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != said.get("size"):
            return name
    return None


def check_whole(folder: Path, *names: str) -> None:
    """That files are what result.json says they are; one that it does not name is not compared.

    Raises:
        UserError: naming the file, or a result.json that cannot be read.
    """
    if not (folder / RESULT).exists():  # an exported adapter
        return
    result = read_json(folder / RESULT)
    if "metrics" not in result:
        raise UserError(f"{folder / RESULT} cannot be read; the file is damaged; {WAY_OUT}")
    named = _named(result)
    for name in names:
        if name not in named:
            continue
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}, which its {RESULT} names; {WAY_OUT}")
        if file_sha256(folder / name) != named[name].get("sha256"):
            raise UserError(
                f"{folder / name} is not the file that the run wrote: its sha256 is another one than {RESULT} says; {WAY_OUT}"
            )


def _named(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    files = result.get("files")
    return (
        {name: said for name, said in files.items() if isinstance(said, dict)}
        if isinstance(files, dict)
        else {}
    )
