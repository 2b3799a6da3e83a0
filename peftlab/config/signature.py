"""The schema of a config node is the signature of its `_target_`, read from the source without importing it.

So a new method needs no second place that repeats its options, and a wrong key is answered before torch is imported.
"""

import ast
import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, get_args

from peftlab import option

PACKAGE = Path(__file__).resolve().parents[1]
# by the name of a kind: whether it is whole, and its range
RANGES: dict[str, tuple[bool, option.Range]] = {
    name: (get_args(kind)[0] is int, get_args(kind)[1])
    for name, kind in vars(option).items()
    if get_args(kind) and isinstance(get_args(kind)[-1], option.Range)
}
PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "a word"),
    "bool": ((bool,), "true or false"),
    "dict": ((dict,), "a mapping"),
}
ANYTHING = ("Any", "object")


class Signature(NamedTuple):
    """The keys that a node may have, each with its annotation and the module that the annotation is read in.

    Of a class also the names of its ancestors in this package, itself included, and the constants of their bodies.
    """

    keys: dict[str, tuple[ast.expr, str]]
    ancestors: frozenset[str] = frozenset()
    constants: dict[str, Any] = {}  # noqa: RUF012


def signature(target: str) -> Signature:
    """The keyword-only arguments of a function or of `__init__`, or the fields of a dataclass, those of its bases first.

    Raises:
        LookupError: if there is no such function or class.
    """
    module, _, name = target.rpartition(".")
    for node in _tree(module or target).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return Signature(_keywords(node, module))
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _of_class(node, module)
    raise LookupError(f"{target} does not exist")


def _of_class(node: ast.ClassDef, module: str) -> Signature:
    bases = [signature(path) for base in node.bases if (path := _imported(ast.unparse(base), module))]
    inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    annotated = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    own = {
        ast.unparse(item.target): (item.annotation, module)
        for item in annotated
        if not ast.unparse(item.annotation).startswith("ClassVar")
    }
    keys = (
        _keywords(inits[0], module)
        if inits
        else {key: kind for base in bases for key, kind in base.keys.items()} | own
    )
    constants = {key: value for base in reversed(bases) for key, value in base.constants.items()}
    constants |= _constants(node)
    above = {name for base in bases for name in base.ancestors}
    return Signature(keys, frozenset({node.name, *above}), constants)


def _constants(node: ast.ClassDef) -> dict[str, Any]:
    """What the body of a class sets to a number, a word, a truth value or None, annotated or not."""
    found: dict[str, Any] = {}
    for item in node.body:
        if isinstance(item, ast.Assign | ast.AnnAssign) and isinstance(item.value, ast.Constant):
            targets = item.targets if isinstance(item, ast.Assign) else [item.target]
            found |= {ast.unparse(target): item.value.value for target in targets}
    return found


def _imported(name: str, module: str) -> str | None:
    """The full name of a class that a module defines, or imports from this package or its own."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return f"{module}.{name}"
        if isinstance(node, ast.ImportFrom) and _gives(node, name, module):
            return f"{node.module}.{name}"
    return None


def _gives(node: ast.ImportFrom, name: str, module: str) -> bool:
    """Whether a line imports this name from this package, or from the one that the line stands in."""
    package = str(node.module).partition(".")[0]
    return package in ("peftlab", module.partition(".")[0]) and any(item.name == name for item in node.names)


def misfit(value: Any, kind: ast.expr, module: str) -> str | None:
    """None if `value` is of this kind; otherwise what would be legal, in words."""
    told = [_misfit_one(value, option, home) for option, home in alternatives(kind, module)]
    return None if None in told else " or ".join(dict.fromkeys(str(text) for text in told))


def alternatives(kind: ast.expr, module: str) -> list[tuple[ast.expr, str]]:
    """The members of a union, with those of every alias in it (`Rule = Literal[...]`), and the module of each."""
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return [*alternatives(kind.left, module), *alternatives(kind.right, module)]
    name = ast.unparse(kind)
    if isinstance(kind, ast.Name) and name not in (*PLAIN, *RANGES, *ANYTHING):
        return alternatives(*_alias(name, module))
    return [(kind, module)]


def values_of(kind: ast.expr) -> ast.expr | None:
    """Of `dict[str, int]` what its values are; None for another kind."""
    is_mapping = isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "dict"
    return getattr(kind.slice, "elts", [None])[-1] if isinstance(kind, ast.Subscript) and is_mapping else None


def range_of(kind: ast.expr) -> tuple[bool, option.Range] | None:
    """Of `Rank` or `Annotated[int, Range(1, 64)]`: whether it is whole, and its range. None: it is no such number.

    Raises:
        LookupError: for an Annotated of another kind.
    """
    if ast.unparse(kind) in RANGES:
        return RANGES[ast.unparse(kind)]
    if not (isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "Annotated"):
        return None
    base, call = getattr(kind.slice, "elts", [None, None])
    if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "Range"):
        raise LookupError(f"{ast.unparse(kind)} is not the range of a number")
    return ast.unparse(base) == "int", option.Range(*map(ast.literal_eval, call.args))


def _misfit_one(value: Any, kind: ast.expr, module: str) -> str | None:
    name = ast.unparse(kind)
    if name == "None":
        return None if value is None else "null"
    if name in PLAIN:
        types, text = PLAIN[name]
        is_number = name in ("int", "float")
        fits = isinstance(value, types) and (_is_number(value) if is_number else value != "")
        return None if fits else text
    if name in ANYTHING:
        return None
    range_ = range_of(kind)
    return _misfit_generic(value, kind, module) if range_ is None else _outside(value, *range_)


def _misfit_generic(value: Any, kind: ast.expr, module: str) -> str | None:
    name = ast.unparse(kind.value) if isinstance(kind, ast.Subscript) else ""
    if isinstance(kind, ast.Subscript) and name == "Literal":
        legal = [ast.literal_eval(item) for item in getattr(kind.slice, "elts", [kind.slice])]
        return None if value in legal else ", ".join(map(str, legal))
    if isinstance(kind, ast.Subscript) and name in ("list", "Sequence"):
        if not isinstance(value, list):
            return "a list"
        told = [misfit(item, kind.slice, module) for item in value]
        wrong = [text for text in told if text is not None]
        return f"a list of {wrong[0]}" if wrong else None
    if name == "dict":
        return None if isinstance(value, dict) else "a mapping"  # its values: `values_of`
    if name in ("Callable", "partial"):
        return None if isinstance(value, dict) and "_target_" in value else "a node with _target_"
    raise LookupError(f"{module}: the annotation {ast.unparse(kind)} is not one that a config key can have")


def _outside(value: Any, is_whole: bool, range_: option.Range) -> str | None:
    """None if `value` is a number of the range; otherwise what would be legal, in words."""
    fits = _is_number(value) and (isinstance(value, int) or not is_whole) and range_.holds(value)
    return None if fits else range_.text("a whole number" if is_whole else "a number")


def _is_number(value: Any) -> bool:
    """An int, however large, or a float that is finite."""
    return type(value) is int or (isinstance(value, float) and math.isfinite(value))


def _keywords(function: ast.FunctionDef, module: str) -> dict[str, tuple[ast.expr, str]]:
    given = function.args.kwonlyargs
    return {argument.arg: (argument.annotation or ast.Name("Any"), module) for argument in given}


def _alias(name: str, module: str) -> tuple[ast.expr, str]:
    """What an alias such as `Rule = Literal[...]` stands for, here or in the module it is imported from."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(item, ast.Name) and item.id == name for item in node.targets
        ):
            return node.value, module
        if isinstance(node, ast.ImportFrom) and any(item.name == name for item in node.names):
            return _alias(name, str(node.module))
    raise LookupError(f"{module}: the annotation {name} is not one that a config key can have")


@cache
def _tree(module: str) -> ast.Module:
    package, *path = module.split(".")
    file = next((file for file in _files(package, path) if file.is_file()), None)
    if file is None:
        raise LookupError(f"{module} is not a module of {package}")
    return ast.parse(file.read_text(encoding="utf-8"))


def _files(package: str, path: list[str]) -> list[Path]:
    """Where the source of a module can be. Nothing is imported: the name of a package alone is looked up."""
    if package == "peftlab":
        return [PACKAGE.joinpath(*path).with_suffix(".py")]
    try:
        spec = find_spec(package) if package.isidentifier() else None
    except ValueError:  # a module that was made by hand, such as __main__
        spec = None
    if spec is None:
        return []
    if not spec.submodule_search_locations:
        return [Path(str(spec.origin))] if not path and str(spec.origin).endswith(".py") else []
    folders = [Path(folder).joinpath(*path) for folder in spec.submodule_search_locations]
    own = [folder.with_suffix(".py") for folder in folders] if path else []
    return [*own, *(folder / "__init__.py" for folder in folders)]


def yaml_text(value: Any) -> str:
    """A value as people write it in YAML."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
