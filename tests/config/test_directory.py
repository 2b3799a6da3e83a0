"""configs/ beside the package (a checkout) or in it (a wheel)."""

from pathlib import Path

import pytest

from peftlab.config import directory
from peftlab.config.directory import config_dir


def test_the_checkout_s_own() -> None:
    assert config_dir() == Path(__file__).resolve().parents[2] / "configs"
    assert config_dir().is_absolute()


def install(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if the module were installed below `root`."""
    package = root / "peftlab"
    (package / "config").mkdir(parents=True)
    monkeypatch.setattr(directory, "__file__", str(package / "config" / "directory.py"))
    return package


def test_a_wheel_carries_a_copy_and_it_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, monkeypatch)
    for folder in (package / "configs", tmp_path / "configs"):
        folder.mkdir()
        (folder / "config.yaml").write_text("")
    assert config_dir() == package / "configs"
    (package / "configs" / "config.yaml").unlink()
    assert config_dir() == tmp_path / "configs"


def test_a_foreign_configs_folder_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = install(tmp_path, monkeypatch)
    (tmp_path / "configs").mkdir()  # site-packages/configs of somebody else
    with pytest.raises(FileNotFoundError, match=f"neither in {package} nor beside it"):
        config_dir()


def test_the_wheel_is_told_to_carry_it() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["configs"] == "peftlab/configs"
