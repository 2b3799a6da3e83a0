"""The texts of a split as token ids: made once on a machine, in a file that its processes map into memory."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from peftlab.dataset.items import Contents
from peftlab.dataset.text.form import Form
from peftlab.dataset.text.texts import Texts
from peftlab.inputs.cache import map_bytes, save_bytes
from peftlab.inputs.text import Encoded, TextSpec, Tokenizer, Writer

KIND = "tokens"
MAX_SHARED = 8
BATCH = 1024  # texts that are given to the tokenizer at once

_shared: dict[str, "Tokens"] = {}


class Ids(NamedTuple):
    """The tokens of one text or pair, and which of the two each belongs to: 1 are those of the second one, or of an answer."""

    ids: Int32[np.ndarray, " t"]
    types: UInt8[np.ndarray, " t"]


def ids_of(found: Encoded) -> Ids:
    """The same as arrays."""
    return Ids(np.array(found.ids, dtype=np.int32), np.array(found.types, dtype=np.uint8))


class _Table(NamedTuple):
    """Tokens of all rows, one behind the other; row r is `ends[r]:ends[r + 1]`. `dropped`: what truncation took of each."""

    ends: Int64[np.ndarray, " n_and_1"]
    dropped: Int32[np.ndarray, " n"]
    ids: Int32[np.ndarray, " all"]
    types: UInt8[np.ndarray, " all"]


class Tokens:
    """Items of a split: its texts, each at most `max_length` tokens. All are tokenised when the first is asked for.

    `form` says how questions and their answers become one text; None: they are no questions.
    """

    noun = TextSpec.noun
    is_hashed = True  # the fingerprint tells the content, and the transform's text the tokenizer

    def __init__(self, texts: Texts, tokenizer: Tokenizer, max_length: int, form: Form | None = None) -> None:
        self.fingerprint = texts.fingerprint
        self.contents: Contents = texts.contents
        self._texts, self._tokenizer, self._max_length, self._form = texts, tokenizer, max_length, form
        self._table: _Table | None = None

    def __len__(self) -> int:
        return len(self._texts)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None}  # another process maps the file, or makes it again

    def take(self, rows: Int64[np.ndarray, " b"]) -> list[Ids]:
        """The tokens of `rows`."""
        ends, _, ids, types = self._tokenised()
        return [
            Ids(np.array(ids[ends[row] : ends[row + 1]]), np.array(types[ends[row] : ends[row + 1]]))
            for row in rows
        ]

    def keep(self, rows: Int64[np.ndarray, " b"]) -> None:
        """Tokenise them."""
        self._tokenised()

    def cut(self, rows: Int64[np.ndarray, " b"]) -> Int32[np.ndarray, " b"]:
        """How many tokens truncation took of each."""
        return np.array(self._tokenised().dropped[rows])

    def lengths(self, rows: Int64[np.ndarray, " b"]) -> Int64[np.ndarray, " b"]:
        """How many tokens each has."""
        ends = self._tokenised().ends
        return np.array(ends[rows + 1] - ends[rows])

    def num_answered(self, rows: Int64[np.ndarray, " b"]) -> Int64[np.ndarray, " b"]:
        """How many tokens the answer of each has."""
        return np.array([int(item.types.sum()) for item in self.take(rows)], dtype=np.int64)

    def texts(self, rows: Int64[np.ndarray, " b"]) -> list[tuple[str, str]]:
        """The question and the whole answer of each, as people wrote them."""
        first, _, answers = self._texts.columns
        assert answers is not None
        return [(first[row], answers[row]) for row in rows.tolist()]

    def _tokenised(self) -> _Table:
        if self._table is None:
            key = f"{_key(self._texts, self._tokenizer, self._max_length, self._form)} tokens 1"
            self._table = _stored(key, len(self))
            if self._table is None:
                self._table = self._made()
                save_bytes(KIND, key, b"".join(array.tobytes() for array in self._table), num=len(self))
        return self._table

    def _made(self) -> _Table:
        found = [one for start in range(0, len(self), BATCH) for one in self._encoded(start, start + BATCH)]
        ends = np.cumsum([0, *(len(one.ids) for one in found)], dtype=np.int64)
        return _Table(
            ends,
            np.array([one.num_dropped for one in found], dtype=np.int32),
            _joined(found, lambda one: one.ids, np.dtype(np.int32)),
            _joined(found, lambda one: one.types, np.dtype(np.uint8)),
        )

    def _encoded(self, start: int, stop: int) -> list[Encoded]:
        first, second, answers = (
            None if column is None else column[start:stop] for column in self._texts.columns
        )
        assert first is not None
        if self._form is None:
            return self._tokenizer.encode(first, second, self._max_length)
        assert answers is not None
        assert isinstance(self._tokenizer, Writer)
        form = self._form
        given = list(map(form.prompt, first)), list(map(form.answer, answers))
        return self._tokenizer.encode_answers(*given, self._max_length, form.max_answer)


def shared_tokens(texts: Texts, tokenizer: Tokenizer, max_length: int, form: Form | None = None) -> Tokens:
    """The process's one `Tokens` of this content, so that the second job of a sweep tokenises nothing again.

    A cache and nothing else: what it returns is a function of the fingerprint, the tokenizer, the length and the form.
    """
    key = _key(texts, tokenizer, max_length, form)
    tokens = _shared.pop(key, None) or Tokens(texts, tokenizer, max_length, form)
    tokens.contents = (
        texts.contents
    )  # the names of its rows are those of the place that they are read from now
    _shared[key] = tokens
    while len(_shared) > MAX_SHARED:
        del _shared[next(iter(_shared))]
    return tokens


def _key(texts: Texts, tokenizer: Tokenizer, max_length: int, form: Form | None) -> str:
    """All that the tokens depend on."""
    return f"{texts.fingerprint} {tokenizer.hash} {max_length}" + ("" if form is None else f" {form}")


def _joined(found: list[Encoded], of: Callable[[Encoded], list[int]], kind: np.dtype[Any]) -> Any:
    return np.array([value for one in found for value in of(one)], dtype=kind)


def _stored(key: str, num: int) -> _Table | None:
    """What the file of this key holds; None where there is none."""
    found = map_bytes(KIND, key)
    if found is None or found[0].get("num") != num:
        return None
    data = found[1]
    start = 8 * (num + 1)
    ends, dropped = data[:start].view(np.int64), data[start : start + 4 * num].view(np.int32)
    start += 4 * num
    stop = start + 4 * int(ends[-1])
    return _Table(ends, dropped, data[start:stop].view(np.int32), data[stop:])
