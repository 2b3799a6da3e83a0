"""An export is whole or not there, and replaces nothing but an export."""

import pytest
import yaml

from peftlab.errors import UserError
from peftlab.export.publish import CARD, check_out, staged


def write(out, **files):
    with staged(out) as stage:
        for name, text in files.items():
            (stage / name).write_text(text)
        (stage / CARD).write_text(yaml.safe_dump({"files": [*files, CARD]}))


def fail(out):
    """Half an export."""
    with staged(out) as stage:
        (stage / "one").write_text("2")
        raise KeyError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_with_its_parents_and_nothing_beside_it(tmp_path):
    out = tmp_path / "new" / "out"
    write(out, one="1")
    assert names(out) == [CARD, "one"]
    assert names(out.parent) == ["out"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    check_out(tmp_path / "out", force=False)
    write(tmp_path / "out", one="1")
    assert names(tmp_path / "out") == [CARD, "one"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(KeyError):
        fail(tmp_path / "out")
    assert names(tmp_path) == []


def test_an_error_leaves_the_earlier_export(tmp_path):
    write(tmp_path / "out", one="1")
    with pytest.raises(KeyError):
        fail(tmp_path / "out")
    assert (tmp_path / "out" / "one").read_text() == "1"


def test_what_the_earlier_export_wrote_goes_and_the_rest_stays(tmp_path):
    out = tmp_path / "out"
    write(out, one="1", two="2")
    (out / "mine").write_text("kept")
    write(out, two="22", three="3")
    assert names(out) == [CARD, "mine", "three", "two"]
    assert (out / "two").read_text() == "22"
    assert yaml.safe_load((out / CARD).read_text())["files"] == ["two", "three", CARD]


def test_nothing_outside_the_folder_goes(tmp_path):
    write(tmp_path / "out", one="1")
    (tmp_path / "other").write_text("kept")
    (tmp_path / "out" / CARD).write_text(yaml.safe_dump({"files": ["../other", "one", CARD]}))
    write(tmp_path / "out", two="2")
    assert (tmp_path / "other").read_text() == "kept"
    assert names(tmp_path / "out") == [CARD, "two"]


def test_an_export_is_replaced_only_when_asked(tmp_path):
    write(tmp_path / "out", one="1")
    with pytest.raises(UserError, match=r"out exists; legal: --force"):
        check_out(tmp_path / "out", force=False)
    check_out(tmp_path / "out", force=True)
    check_out(tmp_path / "absent", force=False)


def test_what_is_no_export_is_never_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")
    for path in (tmp_path / "home", tmp_path / "home" / "letter"):
        with pytest.raises(
            UserError, match="is no export, so nothing there is replaced; legal: another --out"
        ):
            check_out(path, force=True)
