"""The rows of metrics.jsonl, whole and cut short."""

from pathlib import Path

from peftlab.report.history import history


def test_what_can_be_read_is_read(tmp_path: Path) -> None:
    assert list(history(tmp_path)) == []
    (tmp_path / "metrics.jsonl").write_bytes(b'{"epoch": 1}\n[2]\n\xff\n{"epoch": 2, "a": NaN}\n{"epo')
    found = list(history(tmp_path))
    assert [row["epoch"] for row in found] == [1, 2]
    assert found[1]["a"] != found[1]["a"]
