"""Where the YAML files are: inside an installed package, or beside it in a checkout."""

import sys
from pathlib import Path


def config_dir() -> Path:
    """The absolute path of `configs/` (a wheel carries a copy inside the package; an editable install has none).

    Raises:
        FileNotFoundError: if neither place holds config.yaml.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / "config.yaml").is_file():
            return folder
    raise FileNotFoundError(f"peftlab's config.yaml is neither in {package} nor beside it")


def names_of(group: str) -> list[str]:
    """The names that a group has (`peft`, `scaling/estimator`), sorted; none for what is no group."""
    return sorted(file.stem for file in (config_dir() / group).glob("*.yaml")) if group else []


def add_plugins() -> None:
    """Let Hydra find our launchers and sweepers: it looks for them in the namespace package `hydra_plugins` alone."""
    place = str(Path(__file__).resolve().parents[1] / "plugin")
    if place not in sys.path:
        sys.path.append(place)
