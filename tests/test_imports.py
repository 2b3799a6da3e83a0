"""Who may import what: read from the sources, and from a fresh interpreter."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import peftlab

PACKAGE = Path(str(peftlab.__file__)).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# what a library may be imported in: a file, or a folder of the package
HOMES = {
    "hydra": ("command/", "build/instantiate.py", "report/", "config/"),
    "omegaconf": ("command/", "report/", "config/"),
    "wandb": ("tracker/",),
    "timm": ("backbone/timm/",),
    "torchvision": ("dataset/image/",),
    "datasets": ("dataset/source/",),
    "sklearn": ("dataset/source/",),
    "PIL": ("dataset/source/",),
    "pyarrow": ("dataset/source/",),
    "matplotlib": ("figure/",),
    "scipy": ("report/",),
    "huggingface_hub": ("backbone/timm/", "dataset/source/"),
    "safetensors": ("backbone/timm/", "model/", "record/", "export/"),
}


@cache
def imports(file: str) -> list[tuple[str, int]]:
    """Every module that a file imports, anywhere in it, with the line."""
    return list(_imports(file))


def _imports(file: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            yield str(node.module), node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value), node.lineno


def test_the_sources_are_found() -> None:
    assert len(FILES) > 60
    assert "peft/lora.py" in FILES


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    users = {file: line for file in FILES for name, line in imports(file) if name.split(".")[0] == library}
    assert users or library == "omegaconf", f"{library} is used nowhere: drop it from this list"
    strangers = {f"{file}:{line}" for file, line in users.items() if not file.startswith(HOMES[library])}
    assert not strangers


def test_hugging_face_peft_is_an_oracle_of_the_tests_and_nothing_else() -> None:
    assert not [file for file in FILES for name, _ in imports(file) if name.split(".")[0] == "peft"]


def test_scikit_learn_is_there_for_its_digits() -> None:
    names = {name for file in FILES for name, _ in imports(file) if name.startswith("sklearn")}
    assert names == {"sklearn.datasets"}


def test_instantiate_is_called_in_one_place() -> None:
    callers = [file for file in FILES if "instantiate(" in (PACKAGE / file).read_text()]
    assert callers == ["build/instantiate.py"]


COMMANDS = ("train", "sweep", "export", "predict", "methods")
LIGHT = (
    *(f"peftlab.command.{name}" for name in COMMANDS),
    "peftlab.config.check",
    "peftlab.record.record",
    "peftlab",
)
HEAVY = ("torch", "torchvision", "timm", "wandb", "matplotlib", "scipy", "sklearn", "datasets", "pandas")


@pytest.mark.parametrize("module", LIGHT)
def test_the_command_line_imports_nothing_heavy(module: str) -> None:
    """All that `peftlab.command.train` imports at module level, directly or not."""
    code = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules], sep=',')"
    path = os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
