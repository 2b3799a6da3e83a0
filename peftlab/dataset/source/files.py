"""A split whose pictures are files of a folder."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.items import Contents
from peftlab.dataset.source.encoded_split import encoded_split
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.plain import plain


def files_split(names: Sequence[str], labels: Int64[np.ndarray, " n"], contents: Contents) -> Split:
    """All rows; a name of a class that is no UTF-8 counts as what its bytes are."""
    safe = [name.encode(errors="surrogateescape").decode(errors="backslashreplace") for name in names]
    return encoded_split(safe, labels, contents)


def files_contents(files: Sequence[Path], sizes: Int64[np.ndarray, " n"] | None = None) -> Contents:
    """The files as they are stored; `sizes` in bytes, where they are known."""
    if sizes is None:
        sizes = np.array([file.stat().st_size for file in files], dtype=np.int64)
    return Contents(sizes, partial(_read, files), partial(_describe, files))


def _read(files: Sequence[Path], row: int) -> bytes:
    try:
        return files[row].read_bytes()
    except OSError as error:
        raise UserError(
            f"dataset.path holds {plain(str(files[row]))}, which cannot be read ({error.strerror}); legal: files that this"
            " user may read"
        ) from error


def _describe(files: Sequence[Path], row: int) -> str:
    return plain(str(files[row]))
