"""The records of finished runs as one small file: it fits into a repository, sweeps go on from it, reports are made from it."""

import tarfile
from collections.abc import Mapping
from io import BytesIO
from lzma import LZMAError
from pathlib import Path
from typing import Any

from peftlab.errors import UserError
from peftlab.record.folder import WRITTEN
from peftlab.record.json_file import json_text
from peftlab.record.status import DONE, FILE, read_status
from peftlab.record.whole import RESULT, lost_file
from peftlab.record.whole_file import check_place, renew
from peftlab.report.runs.row import rows

ENDING = ".tar.xz"
# a model is not packed: what trained it can train it again
LEFT_OUT = ("adapter.safetensors", "adapter.yaml", "gamma.png", "last/state.pt")
PACKED = tuple(name for name in WRITTEN if name not in LEFT_OUT)
Packed = dict[str, dict[str, bytes]]  # file by file of each run


def pack(folder: Path, file: Path) -> tuple[list[str], list[str]]:
    """Put the finished runs below `folder` into `file`, beside those that it holds; the runs that came, and all.

    The same runs give the same bytes. `result.json` keeps the SHA-256 of what is packed and no longer names what is not; no
    record says any longer where data lay.

    Raises:
        UserError: if `file` is no such file or cannot be written, if no run is finished, or if one is not whole.
    """
    check_place(_checked(file), "FILE")
    before = read_pack(file) if file.exists() else {}
    found = {row.folder.relative_to(folder).as_posix(): row for row in rows(folder) if row.state in DONE}
    if not found:
        raise UserError(f"{folder} holds no finished run; legal: a folder with runs that came to their end")
    if "." in found:
        raise UserError(
            f"{folder} is the folder of a run; legal: the folder of a sweep, which holds folders of runs"
        )
    new: Packed = {}
    for name, row in found.items():
        if lost := lost_file(row.folder, row.result):
            raise UserError(f"{row.folder / lost} is not as the run left it; legal: folders of whole runs")
        new[name] = _files_of(row.folder, row.result)
    renew(file, _bytes({**before, **new}))
    return sorted(new), sorted({**before, **new})


def unpack(file: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Write the runs of `file` below `folder`; those that were written, and those left alone as their folder is there already.

    Raises:
        UserError: if `file` is no such file, or nothing can be written to `folder`.
    """
    packed = read_pack(_checked(file))
    check_place(folder, "FOLDER")
    new = [name for name in packed if not (folder / name).exists()]
    for name in new:
        # last of all what says that the run is finished
        for path, data in sorted(packed[name].items(), key=lambda item: item[0] == RESULT):
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            renew(folder / name / path, data)
    return sorted(new), sorted(set(packed) - set(new))


def read_pack(file: Path) -> Packed:
    """The runs of a file and their files.

    Raises:
        UserError: if it is not there, cannot be read, or holds what `pack` does not write.
    """
    found: Packed = {}
    try:
        with tarfile.open(file, "r:xz") as archive:
            for member in archive:
                path = next((path for path in PACKED if member.name.endswith(f"/{path}")), "")
                name = member.name.removesuffix(f"/{path}")
                is_named = bool(path) and {"", ".", ".."}.isdisjoint(name.split("/"))
                data = archive.extractfile(member) if is_named and member.isfile() else None
                if data is None:
                    raise tarfile.ReadError(f"it holds {member.name}")
                found.setdefault(name, {})[path] = data.read()
    except (OSError, EOFError, LZMAError, tarfile.TarError) as error:
        raise UserError(
            f"{file} cannot be read ({error}); legal: a file that peftlab-runs pack wrote"
        ) from error
    return found


def _checked(file: Path) -> Path:
    if not file.name.endswith(ENDING):
        raise UserError(f"FILE={file} does not end with {ENDING}; legal: a name as runs{ENDING}")
    return file


def _files_of(folder: Path, result: Mapping[str, Any]) -> dict[str, bytes]:
    found = {name: (folder / name).read_bytes() for name in PACKED if (folder / name).is_file()}
    files = {name: said for name, said in result.get("files", {}).items() if name in PACKED}
    status = read_status(folder)
    status["identity"] = _anywhere(status.get("identity"))
    said = {**result, "files": files} | {
        key: _anywhere(result[key]) for key in ("inputs", "identity") if key in result
    }
    return {**found, FILE: json_text(status, indent=1).encode(), RESULT: json_text(said, indent=1).encode()}


def _anywhere(node: Any) -> Any:
    """Without the places that content lay in: what it is, its hash says."""
    if not isinstance(node, dict):
        return node
    return {key: _anywhere(value) for key, value in node.items() if key != "path"}


def _bytes(packed: Packed) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz", preset=9, format=tarfile.USTAR_FORMAT) as archive:
        # like files together: they are compressed to a fraction of what those of one run are
        for path, name in sorted((path, name) for name, files in packed.items() for path in files):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(packed[name][path])
            archive.addfile(member, BytesIO(packed[name][path]))
    return out.getvalue()
