"""Files of texts without labels, and one sentence for each way in which they can be wrong."""

from pathlib import Path

import pytest

from peftlab.dataset.reads import TEXT_FILES
from peftlab.dataset.source.loose_texts import read_texts
from peftlab.dataset.source.text_file import ENDINGS
from peftlab.errors import UserError


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", 'one, "two"\nthree\n'),
        ("b.TXT", '\ufeffone, "two"\r\nthree'),
        ("c.csv", 'other,text\n1,"one, ""two"""\n\n2,three\n'),
        ("d.tsv", 'text\tlabel\n"one, ""two"""\t\nthree\tx\n'),
        ("e.jsonl", '{"text": "one, \\"two\\""}\n\n{"text": "three", "label": null}\n'),
    ],
)
def test_each_kind_of_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(content.encode())
    found = read_texts(str(tmp_path / name), "text", None)
    assert (found.first, found.second) == (['one, "two"', "three"], None)


def test_a_table_of_a_data_set_is_a_file_of_texts() -> None:
    assert set(ENDINGS) < set(TEXT_FILES)


def test_pairs(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("b,a\ntwo,one\nfour,three\n")
    assert read_texts(str(tmp_path / "x.csv"), "a", "b")[:2] == (["one", "three"], ["two", "four"])


@pytest.mark.parametrize(
    ("name", "content", "pair", "words"),
    [
        ("x.md", b"one", None, "x.md is no file of texts; legal: a file that ends in .txt .csv .tsv .jsonl"),
        ("x.txt", b"", None, "x.txt has no row; legal: a text in each line"),
        ("x.txt", b"one\n\nthree\n", None, "line in line 2 of FILE is empty; legal: a text in every row"),
        ("x.txt", b"\xff\n", None, "FILE is no text in UTF-8 (invalid start byte at byte "),
        (
            "x.txt",
            b"one\n",
            "b",
            "x.txt has one text a line, and the run reads pairs; legal: a .csv, .tsv or",
        ),
        (
            "x.csv",
            b"text\none\n",
            "b",
            "line 2 of FILE has no column b but text; legal: the columns that the run",
        ),
        (
            "x.csv",
            b"txt,b\n1,2\n",
            None,
            "line 2 of FILE has no column text but txt, b; legal: the columns that",
        ),
        ("x.csv", b"text,b\n ,2\n", None, "text in line 2 of FILE is empty; legal: a text in every row"),
        ("x.csv", b"text,b\n1\n", None, "line 2 of FILE has 1 values for 2 columns; legal: "),
        ("x.jsonl", b'{"text": 3}', None, "text in line 1 of FILE is the int 3; legal: a text in every row"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, pair: str | None, words: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_texts(str(file), "text", pair)
    said = str(refused.value)
    assert said.startswith((words.replace("FILE", str(file)), f"{tmp_path}/{words}"))
    assert "\n" not in said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.txt is no file; legal: a file that ends in .txt .csv"):
        read_texts(str(tmp_path / "gone.txt"), "text", None)
