"""The one writer of CSV, read back by Python's own reader."""

import csv
import io
from pathlib import Path

from peftlab.record.table import read_rows, table_text

ROWS = [["name", "value"], ['a "b", c', 1 / 3], ["line\nbreak", None], ["é", 1e-12]]


def test_every_field_comes_back_with_all_its_digits():
    for end in ("\r\n", "\n"):
        text = table_text(ROWS, line_end=end)
        names, *rows = list(csv.reader(io.StringIO(text, newline="")))
        assert names == ["name", "value"]
        assert [row[0] for row in rows] == [row[0] for row in ROWS[1:]]
        assert [float(row[1]) if row[1] else None for row in rows] == [1 / 3, None, 1e-12]
        assert text.startswith(f"name,value{end}")


def test_rows_may_be_of_any_kind():
    assert table_text(iter([("a", "b"), dict.fromkeys("xy").keys()])) == "a,b\r\nx,y\r\n"


def test_what_was_written_is_read_by_its_columns_and_nothing_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table_text([["class", "acc"], ["a,b", 0.5], ["ü", None]]), encoding="utf-8", newline="")
    assert read_rows(path) == [{"class": "a,b", "acc": "0.5"}, {"class": "ü", "acc": ""}]
    path.write_bytes(b"class\n\xff\n")
    assert read_rows(path) == [{"class": "\ufffd"}]
    assert read_rows(tmp_path / "none.csv") == []
