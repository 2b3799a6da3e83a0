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
GROUPS = ("backbone", "peft", "placement", "scaling", "dataset")

# what a library may be imported in: a file, or a folder of the package
HOMES = {
    "hydra": ("train.py", "make.py", "sweep/", "config/"),
    "omegaconf": ("train.py", "sweep/", "config/"),
    "wandb": ("tracker/",),
    "timm": ("backbone/",),
    "torchvision": ("dataset/",),
    "datasets": ("dataset/",),
    "sklearn": ("dataset/",),
    "PIL": ("dataset/",),
    "pyarrow": ("dataset/",),
    "matplotlib": ("figure.py",),
    "scipy": ("statistics.py",),
    "huggingface_hub": ("backbone/", "dataset/"),
    "safetensors": ("backbone/", "adapter_file.py", "checkpoint.py", "export/"),
}
# folders of groups that know another part of the package; adapt/ is the only one that knows backbone and peft
KNOWS = {
    "backbone": set(),
    "peft": set(),
    "placement": set(),
    "scaling": set(),
    "dataset": set(),
    "head": set(),
    "loss": set(),
    "optim": set(),
    "tracker": set(),
    "adapt": {"backbone", "peft", "scaling"},
    "bilevel": {"adapt", "dataset", "loss"},
    "config": {"placement", "peft"},
    "sweep": {"figure", "statistics"},
    "export": {
        "adapt",
        "adapter_file",
        "backbone",
        "dataset",
        "make",
        "model",
        "parser",
        "peft",
        "run_folder",
    },
    "noah": {
        "adapter_file",
        "build",
        "config",
        "dataset",
        "evaluate",
        "fit",
        "metrics",
        "peft",
        "record",
        "run_folder",
        "show",
    },
    "predict": {"adapter_file", "dataset", "parser", "run_folder"},
}
# what has no part in any group
GROUND = {"errors", "kinds", "site", "stream", "input_spec", "whole_file"}


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
    assert {folder for folder in KNOWS if (PACKAGE / folder).is_dir()} == set(KNOWS)
    unknown = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} - set(KNOWS)
    assert not unknown, "say in KNOWS what these may import"


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


@pytest.mark.parametrize("folder", KNOWS)
def test_folders_know_only_what_is_documented(folder: str) -> None:
    allowed = KNOWS[folder] | GROUND | {folder}
    if folder == "config":
        allowed |= {"kinds"}
    for file in FILES:
        if file.startswith(f"{folder}/"):
            for name, line in imports(file):
                top, _, rest = name.partition(".")
                assert top != "peftlab" or rest.split(".")[0] in allowed or name == "peftlab", (
                    f"{file}:{line}: {name}"
                )


def test_only_adapt_and_build_know_several_groups() -> None:
    """Whoever knows backbone and peft, or backbone and scaling, knows how they are put together."""
    several = set()
    for file in FILES:
        known = {name.split(".")[1] for name, _ in imports(file) if name.startswith("peftlab.")} & set(GROUPS)
        if len(known - {"dataset"}) > 1 or ("dataset" in known and len(known) > 1):
            several.add(file)
    assert several <= {
        "build.py",
        "model.py",
        "methods.py",
        "measure.py",
        "within_budget.py",
        "config/check.py",
        "config/place.py",
        "adapt/adapted.py",
        "adapt/attachment.py",
        "adapt/tokens.py",
        "adapt/low_rank_linear.py",
        "bilevel/outer.py",
    }
    assert "model.py" in several


def test_instantiate_is_called_in_one_place() -> None:
    callers = [file for file in FILES if "instantiate(" in (PACKAGE / file).read_text()]
    assert callers == ["make.py"]


COMMANDS = ("train", "sweep.command", "export.command", "predict.command")
LIGHT = (*(f"peftlab.{name}" for name in COMMANDS), "peftlab.config.check", "peftlab.record", "peftlab")
HEAVY = ("torch", "torchvision", "timm", "wandb", "matplotlib", "scipy", "sklearn", "datasets", "pandas")


@pytest.mark.parametrize("module", LIGHT)
def test_the_command_line_imports_nothing_heavy(module: str) -> None:
    """All that `peftlab.train` imports at module level, directly or not."""
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
