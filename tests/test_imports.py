"""Who may import what: read from the sources, and from a fresh interpreter."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import peftlab

PACKAGE = Path(str(peftlab.__file__)).parent
YAMLS = sorted((PACKAGE.parent / "configs").rglob("*.yaml"))
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# what a library may be imported in: a file, or a folder of the package
HOMES = {
    "hydra": ("command/", "report/", "config/", "plugin/", "engine/"),
    "omegaconf": ("command/", "report/", "config/", "plugin/", "engine/"),
    "wandb": ("tracker/",),
    "trackio": ("tracker/",),
    "timm": ("backbone/timm/",),
    "torchvision": ("dataset/image/",),
    "datasets": ("dataset/source/",),
    "sklearn": ("dataset/source/",),
    "PIL": ("dataset/source/",),
    "pyarrow": ("dataset/source/",),
    "matplotlib": ("figure/",),
    "scipy": ("statistics/",),
    "huggingface_hub": ("backbone/", "dataset/source/", "tracker/"),
    "safetensors": ("backbone/", "model/", "record/", "export/"),
    "optuna": ("report/study/",),
    "tokenizers": ("backbone/hf/",),
    "gguf": ("backbone/hf/",),
    "open_clip": ("backbone/open_clip/",),
    "sacrebleu": ("evaluate/",),
    "rouge_score": ("evaluate/",),
    "torchcodec": ("dataset/source/",),
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
    assert len(FILES) > 200
    assert "peft/lora.py" in FILES


# the floors of the house: a room imports from rooms of lower floors only, so that data flow one way
FLOORS = (
    ("errors", "inputs", "option", "site", "stream"),
    (
        *("backbone", "dataset", "evaluate", "fit", "head", "loss", "optim", "peft", "placement", "record"),
        *("scaling", "statistics", "tracker"),
    ),
    ("config", "figure", "network", "task"),
    ("build", "report"),
    ("model", "run"),
    ("export", "predict", "search"),
    ("engine",),
    ("command", "plugin"),
)
MAX_ARROWS = 148  # from room to room; the first house had 195, before plugins and statistics were rooms and studies drew seeds


def room(module: str) -> str:
    """`peft/lora.py` and `peftlab.peft.lora` are in the room `peft`."""
    return module.removesuffix(".py").removeprefix("peftlab.").replace("/", ".").partition(".")[0]


def arrows() -> set[tuple[str, str]]:
    """From room to room; `peftlab/__init__.py` is the face of the house and no room."""
    return {
        (room(file), room(name))
        for file in FILES
        for name, _ in imports(file)
        if file not in ("__init__.py", "__main__.py")
        and name.startswith("peftlab.")
        and room(file) != room(name)
    }


def test_every_room_has_a_floor() -> None:
    assert len(FLOORS) <= 8
    assert sorted(name for floor in FLOORS for name in floor) == sorted(
        {room(file) for file in FILES if file not in ("__init__.py", "__main__.py")}
    )


def test_no_arrow_runs_up_or_along_a_floor() -> None:
    at = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    assert not {f"{above} imports {below}" for above, below in arrows() if at[above] <= at[below]}


def test_there_are_not_too_many_arrows() -> None:
    assert len(arrows()) <= MAX_ARROWS


def test_no_file_imports_itself_through_others() -> None:
    names = {file: f"peftlab.{file.removesuffix('.py').replace('/', '.')}" for file in FILES}
    files = {name: file for file, name in names.items()}
    below = {file: {files[name] for name, _ in imports(file) if name in files} for file in FILES}
    done: set[str] = set()

    def visit(file: str, path: tuple[str, ...]) -> None:
        assert file not in path, " -> ".join([*path, file])
        if file not in done:
            for other in below[file]:
                visit(other, (*path, file))
            done.add(file)

    for file in FILES:
        visit(file, ())


def test_at_most_five_loose_files() -> None:
    assert {file for file in FILES if "/" not in file} == {
        *("__init__.py", "__main__.py", "errors.py", "site.py", "stream.py", "option.py")
    }


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for file in FILES:
        for node in ast.walk(ast.parse((PACKAGE / file).read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{file}:{node.lineno} {node.name}", node


def test_functions_and_files_are_small() -> None:
    """A function has at most 40 lines, the options of a config target aside; a file at most 250."""
    long = {
        name: node.end_lineno - node.lineno + 1 - len(node.args.kwonlyargs) * _is_target(name, node)
        for name, node in functions()
        if node.end_lineno
    }
    assert not {name: length for name, length in long.items() if length > 40}
    lines = {file: len((PACKAGE / file).read_text().splitlines()) for file in FILES}
    assert not {file: number for file, number in lines.items() if number > 250}


def test_signatures_are_short() -> None:
    """At most six parameters. A config target has as many keyword-only options as its YAML, and so have the public doors."""
    doors = {"adapt", "start"}  # peftlab.adapt; what every tracker is told at its start
    wrong = {}
    for name, node in functions():
        given = [*node.args.posonlyargs, *node.args.args]
        number = len(given) - bool(given and given[0].arg in ("self", "cls"))
        if not _is_target(name, node) and node.name not in doors:
            number += len(node.args.kwonlyargs)
        if number > 6:
            wrong[name] = number
    assert not wrong


@cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"_target_: peftlab\.(\S+)", "".join(yaml.read_text() for yaml in YAMLS)))


def _is_target(name: str, node: ast.FunctionDef) -> bool:
    """Whether the file of a function is one that a YAML names, and it is that function or a constructor."""
    module = name.partition(".py:")[0].replace("/", ".")
    return any(target.rpartition(".")[0] == module for target in _targets()) and (
        node.name == "__init__" or f"{module}.{node.name}" in _targets()
    )


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


def test_nobody_lets_hydra_make_objects() -> None:
    """A `_target_` is a registered function, checked before it is called: see peftlab.config.registry, peftlab.option.Choice."""
    users = {file for file in FILES if "instantiate" in (PACKAGE / file).read_text()}
    assert users == {"config/hydra_version.py"}  # which forbids it


COMMANDS = ("train", "sweep", "export", "predict", "methods", "data", "runs", "report")
LIGHT = (
    *(f"peftlab.command.{name}" for name in COMMANDS),
    "peftlab.config.resolve",
    "peftlab.engine.separate",
    "peftlab.record.record",
    "peftlab",
)
HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "wandb",
    "trackio",
    "matplotlib",
    "jinja2",
    "scipy",
    "sklearn",
    "datasets",
    "pandas",
    "transformers",
    "tokenizers",
    "gguf",
    "torchcodec",
    "open_clip",
)


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
