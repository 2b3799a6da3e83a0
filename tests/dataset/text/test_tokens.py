"""Tokens are those of the tokenizer, made once, from a file of the machine the second time, whatever happens to it."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from fixtures.tokenizer import WordTokenizer

from peftlab.dataset.items import Items
from peftlab.dataset.text import tokens as module
from peftlab.dataset.text.texts import Columns, Texts, text_split
from peftlab.dataset.text.tokens import Tokens, shared_tokens
from peftlab.inputs.cache import cached_files

WORDS = "a b c d"
FIRST = ["a b", "c", "a b c d a b", "zebra"]
ROWS = np.arange(4, dtype=np.int64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def texts(first: list[str] = FIRST, second: list[str] | None = None) -> Texts:
    labels = np.zeros(len(first), dtype=np.int64)
    items = text_split(["x", "y"], labels, Columns(first, second), str).items
    assert isinstance(items, Texts)
    return items


def as_lists(tokens: Tokens, rows: np.ndarray = ROWS) -> list[tuple[list[int], list[int]]]:
    return [(one.ids.tolist(), one.types.tolist()) for one in tokens.take(rows)]


def test_they_are_those_of_the_tokenizer() -> None:
    tokens = Tokens(texts(), WordTokenizer(WORDS), 6)
    assert isinstance(tokens, Items)
    assert [ids for ids, _ in as_lists(tokens)] == [[2, 4, 5, 3], [2, 6, 3], [2, 4, 5, 6, 7, 3], [2, 1, 3]]
    assert [ids for ids, _ in as_lists(tokens, np.array([3, 0]))] == [[2, 1, 3], [2, 4, 5, 3]]
    assert tokens.cut(ROWS).tolist() == [0, 0, 2, 0]
    assert tokens.lengths(ROWS).tolist() == [4, 3, 6, 3]
    assert tokens.fingerprint == texts().fingerprint


def test_pairs_have_types() -> None:
    (found,) = as_lists(Tokens(texts(["a b"], ["c"]), WordTokenizer(WORDS), 9), np.array([0]))
    assert found == ([2, 4, 5, 3, 6, 3], [0, 0, 0, 0, 1, 1])


def test_each_text_is_asked_for_once() -> None:
    tokenizer = WordTokenizer(WORDS)
    tokens = Tokens(texts(), tokenizer, 6)
    assert tokenizer.num_asked == 0
    for _ in range(2):
        tokens.keep(ROWS)
        tokens.take(ROWS[:1])
    assert tokenizer.num_asked == 4


def test_another_process_reads_the_file(folder: Path) -> None:
    first, second = WordTokenizer(WORDS), WordTokenizer(WORDS)
    made = as_lists(Tokens(texts(), first, 6))
    read = Tokens(texts(), second, 6)
    assert as_lists(read) == made
    assert read.cut(ROWS).tolist() == [0, 0, 2, 0]
    assert (first.num_asked, second.num_asked) == (4, 0)
    assert [file.parent.name for file in cached_files(folder)] == ["tokens"]


@pytest.mark.parametrize("change", ["text", "tokenizer", "length", "pair"])
def test_the_file_is_of_one_content_tokenizer_and_length(folder: Path, change: str) -> None:
    as_lists(Tokens(texts(), WordTokenizer(WORDS), 6))
    tokenizer = WordTokenizer("b a c d" if change == "tokenizer" else WORDS)
    content = texts([*FIRST[:3], "d"] if change == "text" else FIRST, FIRST if change == "pair" else None)
    as_lists(Tokens(content, tokenizer, 5 if change == "length" else 6))
    assert tokenizer.num_asked == 4
    assert len(cached_files(folder)) == 2


def test_a_damaged_file_is_made_anew(folder: Path) -> None:
    made = as_lists(Tokens(texts(), WordTokenizer(WORDS), 6))
    (file,) = cached_files(folder)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    tokenizer = WordTokenizer(WORDS)
    assert as_lists(Tokens(texts(), tokenizer, 6)) == made
    assert tokenizer.num_asked == 4


def test_a_worker_process_gets_them_too(folder: Path) -> None:
    tokens = Tokens(texts(), WordTokenizer(WORDS), 6)
    made = as_lists(tokens)
    sent = pickle.loads(pickle.dumps(tokens))
    assert as_lists(sent) == made
    assert sent._tokenizer.num_asked == 4  # as it was sent: the file was read


def test_a_second_job_tokenises_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_shared", {})
    tokenizer = WordTokenizer(WORDS)
    first = shared_tokens(texts(), tokenizer, 6)
    assert shared_tokens(texts(), tokenizer, 6) is first
    assert shared_tokens(texts(), tokenizer, 5) is not first
    assert shared_tokens(texts(FIRST[:3]), tokenizer, 6) is not first
    for length in range(7, 7 + module.MAX_SHARED):
        shared_tokens(texts(), tokenizer, length)
    assert len(module._shared) == module.MAX_SHARED
    assert shared_tokens(texts(), tokenizer, 6) is not first
