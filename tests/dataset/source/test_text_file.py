"""Files that people wrote: comma, tab, JSON lines, and one sentence for each way in which they can be wrong."""

import json
from pathlib import Path

import pytest

from peftlab.dataset.source.text_file import Named, read_text_file
from peftlab.errors import UserError

NAMED = Named("text", None, "label")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"one, two",x\n\nthree,y\n'),
        ("b.CSV", '\ufefflabel,other,text\r\nx,1,"one, two"\r\n\r\ny,2,three\r\n'),
        ("c.tsv", "text\tlabel\none, two\tx\n\nthree\t y \n"),
        ("d.jsonl", '{"text": "one, two", "label": "x"}\n\n{"label": "y", "text": "three", "n": [1]}\n'),
    ],
)
def test_each_kind_of_file(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode())
    found = read_text_file(file, NAMED)
    assert found.columns.first == ["one, two", "three"]
    assert found.columns.second is None
    assert found.labels == ["x", "y"]
    assert [found.describe(row) for row in (0, 1)] == [f"line {line} of {file}" for line in found.lines]
    assert found.lines == ([1, 3] if name == "d.jsonl" else [2, 4])


def test_pairs_and_numbers_as_labels(tmp_path: Path) -> None:
    rows = [{"a": "one", "b": "two", "c": 3}, {"a": "four", "b": "five", "c": "six"}]
    (tmp_path / "x.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = read_text_file(tmp_path / "x.jsonl", Named("a", "b", "c"))
    assert found.columns.words(1) == ("four", "five")
    assert found.labels == ["3", "six"]


def test_a_value_of_several_lines_is_one(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('text,label\n"one\ntwo",x\nthree,y\n')
    found = read_text_file(tmp_path / "x.csv", NAMED)
    assert found.columns.first == ["one\ntwo", "three"]
    assert found.lines == [3, 4]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", b"", "dataset.path: FILE has no row; legal: "),
        ("x.csv", b"text,label\n", "dataset.path: FILE has no row; legal: "),
        ("x.csv", b"txt,label\na,b\n", "dataset.source.text_column=text is not in line 2 of FILE; legal: txt, label"),
        ("x.csv", b"text,lab\na,b\n", "dataset.source.label_column=label is not in line 2 of FILE; legal: text, lab"),
        ("x.csv", b"text,label\na,b,c\n", "dataset.path: line 2 of FILE has 3 values for 2 columns; legal: "),
        ("x.csv", b"text,label\na\n", "dataset.path: line 2 of FILE has 1 values for 2 columns; legal: "),
        ("x.csv", b'text,label\n"a,b\n', "dataset.path: line 2 of FILE cannot be read (unexpected end of data); legal: "),
        ("x.csv", b"text,label\n ,b\n", "dataset.source.text_column=text is empty in line 2 of FILE; legal: a text in"),
        ("x.csv", b"text,label\na,\n", "dataset.source.label_column=label is empty in line 2 of FILE; legal: a word or"),
        ("x.csv", b"text,label\n\xff,b\n", "dataset.path: FILE is no text in UTF-8 (invalid start byte at byte "),
        ("x.jsonl", b"{\n", "dataset.path: line 1 of FILE is no mapping of JSON; legal: "),
        ("x.jsonl", b"[1]\n", "dataset.path: line 1 of FILE is no mapping of JSON; legal: "),
        ("x.jsonl", b"[" * 200_000, "dataset.path: line 1 of FILE is no mapping of JSON; legal: "),
        ("x.jsonl", b'{"text": 3, "label": 1}', "dataset.source.text_column=text is the int 3 in line 1 of FILE; legal: a"),
        ("x.jsonl", b'{"text": null, "label": 1}', "dataset.source.text_column=text is empty in line 1 of FILE"),
        ("x.jsonl", b'{"text": "a", "label": 1.5}', "dataset.source.label_column=label is the float 1.5 in line 1 of"),
        ("x.jsonl", b'{"text": "a", "label": ["b"]}', "dataset.source.label_column=label is the list ['b'] in line 1"),
    ],
)  # fmt: skip
def test_each_wrong_file(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read_text_file(tmp_path / name, NAMED)
    assert str(error.value).replace(str(tmp_path / name), "FILE").startswith(words)
    assert "\n" not in str(error.value)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\); legal: a file"):
        read_text_file(tmp_path / "x.csv", NAMED)
