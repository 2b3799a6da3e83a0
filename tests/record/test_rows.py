"""metrics.jsonl goes back to where it was at a save, or says that it cannot."""

import pytest

from peftlab.errors import UserError
from peftlab.record.rows import FILE, mark, rewind

TEXT = '{"step": 1}\n{"step": 2}\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / FILE).write_text(TEXT)
    return tmp_path


@pytest.mark.parametrize("more", ["", '{"step": 3}\n', '{"step": 3, "lo', "{", "\0\0\0"])
def test_what_came_after_a_mark_is_dropped(folder, more):
    """Whole rows, and a last one that a kill cut short."""
    at = mark(folder)
    with (folder / FILE).open("a") as file:
        file.write(more)
    rewind(folder, at)
    assert (folder / FILE).read_text() == TEXT
    assert mark(folder) == at


def test_without_a_mark_all_is_dropped(folder, tmp_path):
    rewind(folder, None)
    assert (folder / FILE).read_bytes() == b""


def test_the_mark_of_no_file_is_its_start(tmp_path):
    at = mark(tmp_path)
    rewind(tmp_path, None)
    assert at == mark(tmp_path)
    rewind(tmp_path, at)
    assert (tmp_path / FILE).read_bytes() == b""


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text(""),
        lambda path: path.write_text(TEXT[:-3]),
        lambda path: path.write_text(TEXT.replace("1", "7")),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: path.write_text("[" * 3000),
    ],
    ids=["absent", "empty", "cut short", "changed", "binary", "deep"],
)
def test_rows_that_are_lost_are_told_and_nothing_is_changed(folder, damage):
    at = mark(folder)
    damage(folder / FILE)
    before = (folder / FILE).read_bytes() if (folder / FILE).exists() else None
    with pytest.raises(UserError, match=r"metrics\.jsonl has lost rows.*resume=false"):
        rewind(folder, at)
    assert ((folder / FILE).read_bytes() if (folder / FILE).exists() else None) == before
