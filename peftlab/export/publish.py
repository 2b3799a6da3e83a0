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
    old = {Path(name).name for name in files if isinstance(name, str)} if isinstance(files, list) else set()
    (out / CARD).unlink()
    new = {path.name for path in stage.iterdir()}
    for name in old - new:
        if (out / name).is_file():
            (out / name).unlink()
    for name in sorted(new, key=lambda name: (name == CARD, name)):
        os.replace(stage / name, out / name)
