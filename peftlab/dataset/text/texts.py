"""The texts of one split of a source, each one alone or a pair."""

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.items import Contents
from peftlab.dataset.split import Split
from peftlab.inputs.text import TextSpec

WORD = re.compile(r"[^\W_]+")  # letters and digits


class Columns(NamedTuple):
    """First texts by row, the second one of each if they are pairs, and its answer if they are questions."""

    first: list[str]
    second: list[str] | None
    answers: list[str] | None = None

    def words(self, row: int) -> tuple[str, ...]:
        """The text of a row, or the two; never its answer."""
        return (self.first[row],) if self.second is None else (self.first[row], self.second[row])


class Texts:
    """Texts by row id. `contents` are they without what does not tell two apart: see `normalised`. Two answers to one question
    are one content: who was trained on the question has seen it."""

    noun = TextSpec.noun
    is_hashed = True  # the fingerprint tells the content

    def __init__(self, columns: Columns, *, fingerprint: str, contents: Contents) -> None:
        self.columns, self.fingerprint, self.contents = columns, fingerprint, contents

    def __len__(self) -> int:
        return len(self.columns.first)

    def take(self, rows: Int64[np.ndarray, " b"]) -> list[tuple[str, ...]]:
        """The texts `rows`."""
        return [self.columns.words(row) for row in rows.tolist()]

    def keep(self, rows: Int64[np.ndarray, " b"]) -> None:
        """They are in memory."""


def text_split(
    class_names: Sequence[str],
    labels: Int64[np.ndarray, " n"],
    columns: Columns,
    describe: Callable[[int], str],
) -> Split:
    """All rows of a source; `describe` names one for people."""
    texts = Texts(
        columns,
        fingerprint=_fingerprint(class_names, labels, columns),
        contents=text_contents(columns, describe),
    )
    return Split(texts, labels, np.arange(len(labels), dtype=np.int64))


def text_contents(columns: Columns, describe: Callable[[int], str]) -> Contents:
    """What tells texts apart."""
    kept = [b"\0".join(map(normalised, columns.words(row))) for row in range(len(columns.first))]
    sizes = np.array([len(content) for content in kept], dtype=np.int64)
    return Contents(sizes, partial(_get, kept), describe)


def normalised(text: str) -> bytes:
    """Its words in small letters, without punctuation, one space between two; of a text that has none, itself."""
    return (" ".join(WORD.findall(text.lower())) or text.strip()).encode(errors="surrogatepass")


def _get(kept: list[bytes], row: int) -> bytes:
    return kept[row]


def _fingerprint(class_names: Sequence[str], labels: Int64[np.ndarray, " n"], columns: Columns) -> str:
    """sha256 over class names, labels, texts and answers: the same for a hub set and for a local copy of it."""
    digest = hashlib.sha256("\0".join(class_names).encode())
    digest.update(labels.astype("<i8").tobytes())
    for column in columns if columns.answers is not None else columns[:2]:
        encoded = [text.encode(errors="surrogatepass") for text in column or ()]
        digest.update(np.array([len(encoded), *map(len, encoded)], dtype="<i8").tobytes())
        digest.update(b"".join(encoded))
    return digest.hexdigest()
