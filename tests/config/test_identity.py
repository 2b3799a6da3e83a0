"""One folder, one config, on one content: what another run in it is told."""

import os
from pathlib import Path
from typing import Any

import pytest

from peftlab.config.file import config_text
from peftlab.config.identity import Identity
from peftlab.config.name import config_hash
from peftlab.errors import UserError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in ("train/a/1.png", "test/a/2.png"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    return folder


def config(**more: Any) -> dict[str, Any]:
    node = {
        "seed": 0,
        "device": "cpu",
        "dataset": {"path": None, "num_workers": 0},
        "optim": {"lr": 0.1},
        "backbone": {"checkpoint": None},
        "placement": {"_target_": "peftlab.placement.grid.grid"},
    }
    for key, value in more.items():
        group, _, option = key.partition("__")
        node[group] = {**node[group], option: value} if option else value  # type: ignore[dict-item]
    return node


def put(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    folder.mkdir()
    (folder / "config.yaml").write_text(config_text(given))
    saved: dict[str, Any] = Identity(given).saved
    return saved


def test_the_same_config_may_go_on_whatever_changes_no_number(tmp_path: Path) -> None:
    saved = put(tmp_path / "run", config())
    Identity(config()).check(tmp_path / "run", saved)
    Identity(config(device="cuda", dataset__num_workers=4)).check(tmp_path / "run", saved)
    Identity(config()).check(tmp_path / "run", {})  # which an earlier version left: config.yaml says the same


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"optim__lr": 0.2}, "optim.lr=0.1 there, 0.2 now; legal"),
        ({"seed": 1}, "seed=0 there, 1 now; legal"),
        ({"optim__momentum": 0.9}, "optim.momentum=None there, 0.9 now; legal"),
        (
            {"seed": 1, "optim": {"a": 1, "b": 2, "c": 3}},
            "now; optim.a=None there, 1 now; optim.b=None there, 2 now and 2",
        ),
    ],
)
def test_another_config_is_told_what_is_another(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    saved = put(tmp_path / "run", config())
    for known in (saved, {}):
        with pytest.raises(UserError, match=r"holds the run of another config: .*resume=false") as error:
            Identity(config(**more)).check(tmp_path / "run", known)
        assert said in str(error.value)


def test_a_config_that_cannot_be_read_is_another_one(tmp_path: Path) -> None:
    put(tmp_path / "run", config())
    (tmp_path / "run" / "config.yaml").write_text("[" * 3000)
    with pytest.raises(UserError, match=r"its config\.yaml cannot be read; legal: .*resume=false"):
        Identity(config()).check(tmp_path / "run", {"config": "1a"})


def test_data_that_changed_are_told(tmp_path: Path, data: Path) -> None:
    given = config(dataset__path=str(data))
    saved = put(tmp_path / "run", given)
    assert saved["inputs"].keys() == {"dataset.path"}
    Identity(given).check(tmp_path / "run", saved)
    os.utime(data / "test/a/2.png", (2e9, 2e9))  # touched, and the same
    Identity(given).check(tmp_path / "run", saved)
    (data / "test/a/2.png").write_text("another")
    with pytest.raises(
        UserError, match=r"dataset\.path points to another content than when this run read it"
    ):
        Identity(given).check(tmp_path / "run", saved)
    data.rename(tmp_path / "archive")
    Identity(given).check(tmp_path / "run", saved)  # nothing can be said of it


def test_data_of_the_environment_count_too(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    given = config(dataset__source={"folder": "data"})
    saved = put(tmp_path / "run", given)
    (data / "train/a/1.png").write_text("another")
    with pytest.raises(UserError, match=r"dataset\.path points to another content"):
        Identity(given).check(tmp_path / "run", saved)


def test_a_checkpoint_that_changed_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("weights")
    given = config(backbone__checkpoint=str(tmp_path / "a.pt"))
    saved = put(tmp_path / "run", given)
    (tmp_path / "a.pt").write_text("other weights")
    with pytest.raises(UserError, match=r"backbone\.checkpoint points to another content"):
        Identity(given).check(tmp_path / "run", saved)


@pytest.mark.parametrize(
    ("kind", "key", "file"), [("from_gamma", "run", "gamma.csv"), ("from_file", "file", "")]
)
def test_a_placement_s_file_is_in_the_hash_by_what_it_holds(
    tmp_path: Path, kind: str, key: str, file: str
) -> None:
    def of(path: Path) -> dict[str, Any]:
        placement = {
            "_target_": f"peftlab.placement.{kind}.{kind}",
            key: str(path),
            "budget": None,
            "tower": "both",
        }
        return config(placement=placement)

    for name, text in (("one", "0.q"), ("copy", "0.q"), ("other", "1.v")):
        path = tmp_path / name / file if file else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    one, copy, other, lost = (config_hash(of(tmp_path / name)) for name in ("one", "copy", "other", "lost"))
    assert one == copy
    assert len({one, other, lost}) == 3
    saved = put(tmp_path / "run", of(tmp_path / "one"))
    path = tmp_path / "one" / file if file else tmp_path / "one"
    path.write_text("5.q")
    with pytest.raises(UserError, match=rf"placement\.{key} points to another content"):
        Identity(of(tmp_path / "one")).check(tmp_path / "run", saved)


def test_data_that_cannot_be_read_are_a_sentence(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("peftlab.config.identity.content_of", refused)
    with pytest.raises(UserError, match=r"dataset\.path: .* cannot be read \(Permission denied\); legal"):
        _ = Identity(config(dataset__path=str(data))).saved
