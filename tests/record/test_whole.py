"""result.json names files by size and SHA-256; what is loaded is compared with it."""

import json

import pytest

from peftlab.errors import UserError
from peftlab.record.whole import check_whole, files_of, lost_file


@pytest.fixture
def folder(tmp_path):
    for name in ("config.yaml", "gamma.csv", "status.json", "notes.md", "last/state.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "result.json").write_text(
        json.dumps({"run_id": "1", "metrics": {}, "files": files_of(tmp_path)})
    )
    return tmp_path


def result(folder):
    return json.loads((folder / "result.json").read_text())


def test_what_is_named(folder):
    assert files_of(folder).keys() == {"config.yaml", "gamma.csv"}
    assert lost_file(folder, result(folder)) is None
    check_whole(folder, "config.yaml", "gamma.csv", "notes.md")


def test_a_file_that_is_lost(folder):
    (folder / "gamma.csv").unlink()
    assert lost_file(folder, result(folder)) == "gamma.csv"
    with pytest.raises(
        UserError, match=r"has no gamma\.csv, which its result\.json names; legal: .*resume=false"
    ):
        check_whole(folder, "gamma.csv")


def test_a_file_of_another_size_and_one_of_another_content(folder):
    (folder / "gamma.csv").write_text("GAMMA.csv")
    assert lost_file(folder, result(folder)) is None, "a skip reads no file"
    (folder / "config.yaml").write_text("more than there was")
    assert lost_file(folder, result(folder)) == "config.yaml"
    for name in ("config.yaml", "gamma.csv"):
        with pytest.raises(UserError, match=rf"{name} is not the file that the run wrote"):
            check_whole(folder, name)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 3000])
def test_a_result_that_cannot_be_read(folder, data):
    (folder / "result.json").write_bytes(data)
    with pytest.raises(UserError, match=r"result\.json cannot be read; the file is damaged; legal"):
        check_whole(folder, "gamma.csv")


@pytest.mark.parametrize("files", [None, [], {"gamma.csv": "1a"}, 3])
def test_records_of_earlier_versions_and_exports_are_not_compared(folder, files):
    (folder / "result.json").write_text(json.dumps({"run_id": "1", "metrics": {}, "files": files}))
    check_whole(folder, "gamma.csv")
    (folder / "result.json").unlink()
    check_whole(folder, "gamma.csv")
