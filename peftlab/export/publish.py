"""An output folder that is whole or not there, and that replaces nothing but an earlier export."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from peftlab.errors import UserError
from peftlab.record.whole_file import check_place
from peftlab.record.yaml_file import read_yaml

CARD = "export.yaml"


def check_out(out: Path, *, force: bool) -> None:
    """Answered before any work.

    Raises:
        UserError: if something is there that may not be replaced.
    """
    if out == Path():
        raise UserError("--out is empty, or this folder; legal: a folder of its own, which need not exist")
    for place in (out, out.parent):
        check_place(place, "--out")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CARD).is_file():
        raise UserError(f"{out} exists and is no export, so nothing there is replaced; legal: another --out")
    read_yaml(out / CARD, "card")
    if not force:
        raise UserError(f"{out} exists; legal: --force, which replaces it, or another --out")


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` if nothing is raised."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        stage = Path(temporary) / "stage"
        stage.mkdir()
        yield stage
        if (out / CARD).is_file():
            _replace(stage, out)
        else:
            os.replace(stage, out)


def _replace(stage: Path, out: Path) -> None:
    """The files of the earlier export go, its card first; the new card comes last. What else lies there stays."""
    files = read_yaml(out / CARD, "card").get("files")
    listed = [Path(name) for name in files if isinstance(name, str)] if isinstance(files, list) else []
    old = {path.as_posix() for path in listed if _is_inside(out / path, out)}
    (out / CARD).unlink()
    new = set(files_in(stage))
    for name in old - new:
        if (out / name).is_file():
            (out / name).unlink()
    for name in sorted(new, key=lambda name: (name == CARD, name)):
        (out / name).parent.mkdir(exist_ok=True)
        os.replace(stage / name, out / name)


def _is_inside(file: Path, folder: Path) -> bool:
    """Whether it is still there when links and `..` are followed: somebody else may have written the card."""
    return file.resolve().is_relative_to(folder.resolve())


def files_in(folder: Path) -> list[str]:
    """All files in a folder and those below it, by their names from there."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
