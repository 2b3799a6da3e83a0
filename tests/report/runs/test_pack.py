"""A file of packed runs holds what reports and sweeps need of finished runs, whole, and what holds anything else is refused."""

import json
import re
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from fixtures.sweep import put

from peftlab.errors import UserError
from peftlab.record.whole import RESULT, files_of, lost_file
from peftlab.report.runs.pack import pack, read_pack, unpack

KEPT = {"metrics.jsonl": b'{"epoch": 1}\n', "config.yaml": b"format: 2\n", "predictions.csv": b"item,label\n"}


def finished(folder: Path, tail: float, state: str = "ok") -> Path:
    put(folder, state, {"peft": "lora"}, 0)
    for name, data in {**KEPT, "adapter.safetensors": bytes(1000), "adapter.yaml": b"peft: lora\n"}.items():
        (folder / name).write_bytes(data)
    (folder / "last").mkdir()
    (folder / "last" / "state.pt").write_bytes(bytes(5000))
    inputs = {"dataset.path": {"path": "/home/somebody/data", "sha256": "5a"}}
    record = {
        "metrics": {"test/tail_acc": tail},
        "run_id": folder.name,
        "files": files_of(folder),
        "inputs": inputs,
    }
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(
        json.dumps({**status, "identity": {"config": "c0", "inputs": inputs}})
    )
    (folder / RESULT).write_text(json.dumps(record))
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    finished(tmp_path / "sweep" / "a", 0.25)
    finished(tmp_path / "sweep" / "part" / "b", 0.5, "diverged")
    put(tmp_path / "sweep" / "c", "failed", {}, 0)
    return tmp_path / "sweep"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.tar.xz"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_finished_runs_come_back_without_their_models(sweep: Path, file: Path, tmp_path: Path) -> None:
    assert pack(sweep, file) == (["a", "part/b"], ["a", "part/b"])
    assert unpack(file, tmp_path / "again") == (["a", "part/b"], [])
    for name in ("a", "part/b"):
        back, was = contents(tmp_path / "again" / name), contents(sweep / name)
        assert set(was) - set(back) == {"adapter.safetensors", "adapter.yaml", "last/state.pt"}
        said, first = json.loads(back.pop(RESULT)), json.loads(was[RESULT])
        status = json.loads(back.pop("status.json"))
        inputs = {"dataset.path": {"sha256": "5a"}}
        assert said.pop("inputs") == status["identity"].pop("inputs") == inputs
        assert status == {**json.loads(was["status.json"]), "identity": {"config": "c0"}}
        assert back == {key: was[key] for key in back}
        assert set(first.pop("files")) - set(said["files"]) == {"adapter.safetensors", "adapter.yaml"}
        assert lost_file(tmp_path / "again" / name, said) is None
        del said["files"], first["inputs"]
        assert said == first


def test_the_same_runs_are_the_same_bytes(sweep: Path, file: Path, tmp_path: Path) -> None:
    pack(sweep, file)
    unpack(file, tmp_path / "again")
    pack(tmp_path / "again", tmp_path / "other.tar.xz")
    assert (tmp_path / "other.tar.xz").read_bytes() == file.read_bytes()


def test_runs_are_added_and_a_newer_one_takes_its_place(sweep: Path, file: Path, tmp_path: Path) -> None:
    pack(sweep, file)
    finished(tmp_path / "later" / "a", 0.75)
    finished(tmp_path / "later" / "d", 1.0)
    assert pack(tmp_path / "later", file) == (["a", "d"], ["a", "d", "part/b"])
    tails = {
        name: json.loads(files[RESULT])["metrics"]["test/tail_acc"] for name, files in read_pack(file).items()
    }
    assert tails == {"a": 0.75, "part/b": 0.5, "d": 1.0}


def test_what_is_there_is_left_as_it_is(sweep: Path, file: Path) -> None:
    pack(sweep, file)
    before = contents(sweep)
    assert unpack(file, sweep) == ([], ["a", "part/b"])
    assert contents(sweep) == before


def test_a_run_that_is_not_whole_is_not_packed(sweep: Path, file: Path) -> None:
    (sweep / "a" / "predictions.csv").unlink()
    with pytest.raises(UserError, match=r"a/predictions\.csv is not as the run left it"):
        pack(sweep, file)
    assert not file.exists()


def test_wrong_places(sweep: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"runs\.zip does not end with \.tar\.xz"):
        pack(sweep, tmp_path / "runs.zip")
    with pytest.raises(UserError, match="holds no finished run"):
        pack(sweep / "c", file)
    with pytest.raises(UserError, match="is the folder of a run"):
        pack(sweep / "a", file)
    with pytest.raises(UserError, match=r"runs\.tar\.xz cannot be read .*No such file"):
        unpack(file, sweep)
    file.write_text("not an archive")
    for call in (lambda: unpack(file, sweep), lambda: pack(sweep, file)):
        with pytest.raises(UserError, match=r"runs\.tar\.xz cannot be read"):
            call()
    assert file.read_text() == "not an archive"


@pytest.mark.parametrize(
    "name",
    [
        "../a/result.json",
        "/a/result.json",
        "a/../../b/result.json",
        "result.json",
        "a/run.sh",
        "a/last/state.pt",
    ],
)
def test_what_pack_does_not_write_is_refused_before_anything_is_written(
    name: str, file: Path, tmp_path: Path
) -> None:
    with tarfile.open(file, "w:xz") as archive:
        archive.addfile(tarfile.TarInfo("a/status.json"), BytesIO())
        archive.addfile(tarfile.TarInfo(name), BytesIO())
    with pytest.raises(UserError, match=rf"it holds {re.escape(name)}"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_are_refused(file: Path, tmp_path: Path) -> None:
    link = tarfile.TarInfo("a/result.json")
    link.type, link.linkname = tarfile.SYMTYPE, "../../b"
    with tarfile.open(file, "w:xz") as archive:
        archive.addfile(link)
    with pytest.raises(UserError, match=r"it holds a/result\.json"):
        unpack(file, tmp_path / "out")
