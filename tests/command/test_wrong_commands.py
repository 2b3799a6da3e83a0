"""The lines of scripts/wrong_commands.py, refused in this process; docs/reliability.md has the figures of real ones."""

import ast
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.configs import composed
from fixtures.scripts import script_of
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException
from omegaconf.errors import OmegaConfBaseException

from peftlab.command import train
from peftlab.config.resolve import resolve
from peftlab.config.sentence import sentence
from peftlab.config.signature import RANGES, alternatives, range_of
from peftlab.errors import UserError

script = script_of("wrong_commands")
LINES = script.lines()
VALUES = [line for line in LINES if line.kind in script.OF_VALUES]
OTHERS = [line for line in LINES if line.kind not in script.OF_VALUES]


def some(lines: list[Any], number: int) -> list[Any]:
    """Lines of a few choices of groups, which are composed once each; another draw each day would be no test."""
    by_choice = defaultdict(list)
    for line in lines:
        by_choice[line.words[:-1]].append(line)
    draw = random.Random(0)
    chosen = draw.sample(sorted(by_choice), 8)
    return draw.sample([line for words in chosen for line in by_choice[words]], number)


def bare_numbers(kind: ast.expr, module: str) -> Iterator[str]:
    """The parts of an annotation that take any number."""
    for one, home in alternatives(kind, module):
        if ast.unparse(one) in ("int", "float"):
            yield ast.unparse(one)
        elif isinstance(one, ast.Subscript) and ast.unparse(one.value) in ("list", "dict", "Sequence"):
            for item in getattr(one.slice, "elts", [one.slice]):
                yield from bare_numbers(item, home)


def test_every_number_has_a_range() -> None:
    """But of depths, which peftlab.placement.depth reads; what is Any is checked by the rules of its group."""
    keys = list(script.keys())
    numbers = [key for key in keys if any(range_of(kind) for kind in key.kinds)]
    assert len(numbers) > 100
    assert RANGES
    bare = {key.path for key in keys for kind in key.kinds if list(bare_numbers(kind, key.module))}
    assert {path for path in bare if path.rpartition(".")[2] != "depth"} == set()


def test_the_generator_tries_every_key_in_many_ways() -> None:
    assert len(LINES) > 3000
    assert len({line.words for line in VALUES}) > 2000
    assert {line.kind for line in VALUES} == set(script.OF_VALUES)
    assert script.lines(1)[:-1] != LINES[:-1]
    tried = {line.keys[0] for line in VALUES}
    assert {
        "dataset.seed",
        "optim.momentum",
        "fit.clip_norm",
        "scaling.outer.every",
        "tracker.mode",
        "seed",
    } <= tried


def refused(line: Any) -> str:
    """The sentence for a config, as Hydra composes it or does not."""
    words = train.rewrite(script.command(line))
    try:
        config = composed(*words)
    except OmegaConfBaseException as error:
        wrapped = ConfigCompositionException(f"Error merging override {line.words[-1]}")
        wrapped.__cause__ = error  # as Hydra does it
        return sentence(wrapped, words)
    try:
        resolve(config)
    except UserError as error:
        return str(error)
    return ""  # taken for a legal one


@pytest.mark.parametrize("line", some(VALUES, 120), ids=lambda line: " ".join(line.words))
def test_a_value_of_another_kind_is_one_sentence(line: Any) -> None:
    said = refused(line)
    assert script.faults(line, 2, said) == [], said


@pytest.mark.slow
@pytest.mark.parametrize("kind", script.OF_VALUES)
def test_every_value_of_another_kind_is_one_sentence(kind: str) -> None:
    own = [line for line in VALUES if line.kind == kind]
    assert own
    wrong = {" ".join(line.words): said for line in own if script.faults(line, 2, said := refused(line))}
    assert wrong == {}


def told(
    line: Any, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> list[str]:
    """What is wrong with the answer of `peftlab` in an empty folder."""
    file, empty = place / "file", place / "empty"
    file.write_text("x")
    empty.mkdir(exist_ok=True)
    monkeypatch.chdir(empty)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", ["peftlab", *script.command(line, str(file))])
    monkeypatch.setattr(
        "peftlab.search.stages.run_found", lambda *given: None
    )  # it was taken for a legal one
    GlobalHydra.instance().clear()
    capfd.readouterr()
    with pytest.raises(SystemExit) as stop:
        train.main()
    GlobalHydra.instance().clear()
    said = capfd.readouterr().err
    faults: list[str] = script.faults(line, stop.value.code, said)
    written = [] if list(empty.iterdir()) == [] else ["something was written"]
    return [*faults, *written, said] if faults or written else []


@pytest.mark.parametrize("line", random.Random(0).sample(OTHERS, 6), ids=lambda line: " ".join(line.words))
def test_any_other_wrong_line_is_one_sentence(
    line: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert told(line, tmp_path, monkeypatch, capfd) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", dict.fromkeys(line.kind for line in OTHERS))
def test_all_other_wrong_lines_are_one_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    own = [line for line in OTHERS if line.kind == kind]
    wrong = {" ".join(line.words): told(line, tmp_path, monkeypatch, capfd) for line in own}
    assert {words: found for words, found in wrong.items() if found} == {}
