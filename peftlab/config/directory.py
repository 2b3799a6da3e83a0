"""Where the YAML files are: inside an installed package, or beside it in a checkout."""

import sys
from itertools import takewhile
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
    """The names that a group has (`peft`, `scaling/estimator`), sorted; none for what is no group. Experiments have some in folders."""
    place, pattern = config_dir() / group, "**/*.yaml" if group == "experiment" else "*.yaml"
    return (
        sorted(file.relative_to(place).with_suffix("").as_posix() for file in place.glob(pattern))
        if group
        else []
    )


def header_of(group: str, name: str) -> list[str]:
    """What the file of a choice says of itself in its first lines; nothing for a choice of one's own."""
    file = config_dir() / group / f"{name}.yaml"
    lines = file.read_text(encoding="utf-8").splitlines() if name in names_of(group) else []
    return [line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("#"), lines)]


def add_plugins() -> None:
    """Let Hydra find our launchers and sweepers: it looks for them in the namespace package `hydra_plugins` alone."""
    place = str(Path(__file__).resolve().parents[1] / "plugin")
    if place not in sys.path:
        sys.path.append(place)
