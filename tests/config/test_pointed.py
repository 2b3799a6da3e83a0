"""Which files and folders a config points to."""

from pathlib import Path

import pytest

from peftlab.config.pointed import pointed


def test_what_exists_is_named_by_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTLAB_DATA", raising=False)
    (tmp_path / "data").mkdir()
    for name in ("weights.pt", "cells.yaml", "gamma.csv", "adapter.safetensors", "words.txt"):
        (tmp_path / name).touch()
    given = {
        "dataset": {"path": str(tmp_path / "data"), "class_names": str(tmp_path / "words.txt")},
        "backbone": {"checkpoint": str(tmp_path / "weights.pt")},
        "placement": {
            "_target_": "peftlab.placement.from_file.from_file",
            "file": str(tmp_path / "cells.yaml"),
        },
    }
    assert pointed(given) == {
        "dataset.path": tmp_path / "data",
        "dataset.class_names": tmp_path / "words.txt",
        "backbone.checkpoint": tmp_path / "weights.pt",
        "placement.file": tmp_path / "cells.yaml",
    }
    for kind, file in (("from_gamma", "gamma.csv"), ("noah", "adapter.safetensors")):
        node = {"_target_": f"peftlab.placement.{kind}.{kind}", "run": str(tmp_path)}
        assert pointed({"placement": node}) == {"placement.run": tmp_path / file}
    assert pointed({"placement": {"_target_": "peftlab.placement.grid.grid", "run": str(tmp_path)}}) == {}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dataset": None, "backbone": 3, "placement": []},
        {"dataset": {"path": "owner/name"}, "backbone": {"checkpoint": None}},
        {"dataset": {"path": ""}},
        {"dataset": {"path": 3, "source": {"folder": "no"}}, "placement": {"run": 3, "file": None}},
        {"placement": {"_target_": "peftlab.placement.from_file.from_file", "file": "???"}},
    ],
)
def test_what_is_no_path_points_to_nothing(given: dict) -> None:
    assert pointed(given) == {}


def test_the_packaged_weights_are_a_file() -> None:
    from fixtures.configs import composed

    checkpoint = composed()["backbone"]["checkpoint"]
    assert checkpoint.startswith("package:")
    assert pointed(composed())["backbone.checkpoint"].is_file()


def test_of_a_set_of_tasks_it_is_the_folder_of_the_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task that comes later changes no run."""
    monkeypatch.setenv("PEFTLAB_DATA", str(tmp_path))
    (tmp_path / "vtab-1k" / "dtd").mkdir(parents=True)
    source = {"folder": "vtab-1k", "task": "dtd"}
    assert pointed({"dataset": {"path": None, "source": source}}) == {
        "dataset.path": tmp_path / "vtab-1k" / "dtd"
    }
    given = {"dataset": {"path": str(tmp_path / "vtab-1k"), "source": source}}
    assert pointed(given) == {"dataset.path": tmp_path / "vtab-1k" / "dtd"}
