"""Every command and every line of Python in the documents works, every link leads somewhere, and nothing is left out."""

import contextlib
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fixtures.documents import PAGES, ROOT, Block, blocks, is_sweep, jobs
from fixtures.stand_ins import with_data
from hydra.core.global_hydra import GlobalHydra

import peftlab
from peftlab.command.train import rewrite
from peftlab.config.resolve import resolve

SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
SHELL = ("cat", "cp", "head", "ls", "mkdir", "sed")  # what a block may call beside our commands
# the gate runs these as they stand (.ci/run), or they are about the machine and not about us
SETUP = (
    ["pip", "install"],
    ["pytest"],
    ["git"],
    ["cd"],
    ["python3", "-m", "venv"],
    ["."],
    ["ruff"],
    ["mypy"],
    [".ci/run"],
)
# what a run of the tests adds to a command of the documents that names no backbone: twelve small blocks, one epoch
SMALL = ("backbone=tiny", "backbone.depth=12", "backbone.model_args.depth=12")
SHORT = ("device=cpu", "fit.epochs=1", "fit.batch_size=128", "fit.eval_batch_size=512", "fit.warmup_epochs=0")
SOON = ("scaling.outer.warmup=0", "scaling.outer.every=2")  # with scaling=meta: an outer step in an epoch
LANGUAGES = {"bash", "python", "text", "yaml"}
COMMANDS = [(block, words) for page in PAGES for block in blocks(page, "bash") for words in block.commands()]


def name(value: Any) -> str:
    return f"{value.page}:{value.line}" if isinstance(value, Block) else " ".join(value)


def overrides(words: Sequence[str]) -> list[str]:
    """The KEY=VALUE words of `peftlab ...`, as Hydra gets them."""
    return rewrite([word for word in words[1:] if "=" in word and not word.startswith("-")])


def is_flag_only(words: Sequence[str]) -> bool:
    """`peftlab --help`, `peftlab -sc install=bash`: it prints, and runs nothing."""
    return any(word in ("--help", "--version", "-sc", "--cfg", "--info") for word in words)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_its_language(page: str) -> None:
    fences = re.findall(r"^```(.*)$", (ROOT / page).read_text(), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert all(word in LANGUAGES for word in fences[::2])
    assert len(blocks(page)) == len(fences) // 2


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    text = re.sub(
        r"^```.*?^```|^    .*?$|`.*?`", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL
    )
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page} links to {link}"


def test_the_readme_fits_on_a_few_screens() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


@pytest.mark.slow
def test_the_picture_of_the_block_is_the_script_s_and_the_same_each_time(tmp_path: Path) -> None:
    draw = runpy.run_path(str(ROOT / "scripts" / "draw_block.py"))["draw"]
    first, second = (draw(tmp_path / name)[0].read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second
    assert b"<dc:date>" not in first
    assert len(first) < 100_000
    shape = re.compile(rb"<!-- .* -->")  # each text stands in a comment before its letters
    assert shape.findall(first) == shape.findall((ROOT / "docs" / "block.svg").read_bytes())


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for link in re.findall(r"\]\(([^)#]+\.md)", (ROOT / page).read_text()):
            target = os.path.relpath((ROOT / page).parent / link, ROOT)
            if target not in reached and target in PAGES:
                waiting.append(target)
    assert set(PAGES) - reached == set()


def test_every_choice_and_every_command_stands_in_a_document() -> None:
    text = "\n".join((ROOT / page).read_text() for page in PAGES)
    words = set(re.findall(r"[\w.-]+\w", text))
    configs = ROOT / "configs"
    files = [
        path.relative_to(group)
        for group in configs.iterdir()
        if group.is_dir()
        for path in group.rglob("*.yaml")
    ]
    choices = {part for file in files for part in file.with_suffix("").parts}
    assert {choice for choice in choices if choice not in words} == set()
    assert {command for command in SCRIPTS if command not in words} == set()


@pytest.mark.parametrize(("block", "words"), COMMANDS, ids=name)
def test_every_command_is_one_of_ours_with_choices_that_exist(block: Block, words: list[str]) -> None:
    """A glance that takes no time: the slow tests run them."""
    if words[0] not in SCRIPTS:
        assert words[0] in SHELL or any(words[: len(own)] == own for own in SETUP) or block.reason
    elif words[0] == "peftlab" and not is_flag_only(words):
        assert is_sweep(overrides(words)) <= ("-m" in words or any("experiment=" in word for word in words))
        for word in overrides(words):
            group, _, values = word.partition("=")
            if "--config-dir" not in words and (ROOT / "configs" / group).is_dir():
                for value in values.split(","):
                    assert (ROOT / "configs" / group / f"{value}.yaml").is_file(), word


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles(page: str) -> None:
    for block in blocks(page, "python"):
        compile(block.text, f"{page}:{block.line}", "exec")


def test_one_version() -> None:
    version = peftlab.__version__
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == version


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted: outputs/RUN, outputs/sweep/NAME, photos/ with a folder for each class, and videos/."""
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("bench")
    digits = load_digits()
    for number in range(60):
        path = folder / "photos" / f"digit_{digits.target[number] % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[number] * 15).astype("uint8")).save(path)
    (folder / "videos").mkdir()  # none is read: what needs some is composed
    with contextlib.chdir(folder):
        call("peftlab", *SMALL, *SHORT, "scaling=learned", "hydra.run.dir=outputs/RUN")
        call(
            "peftlab",
            "-m",
            *SMALL,
            *SHORT,
            "hydra.sweep.dir=outputs/sweep/NAME",
            "placement.position=q,v",
            "seed=0,1",
        )
    return folder


def call(command: str, *words: str) -> None:
    """One of our commands, in this process."""
    GlobalHydra.instance().clear()
    module, _, function = SCRIPTS[command].partition(":")
    sys.argv = [command, *words]
    try:
        code = getattr(import_module(module), function)()
    except SystemExit as stop:
        code = stop.code
    assert code in (None, 0), f"{' '.join([command, *words])}: {code}"


def run(words: list[str]) -> None:
    """A command of a page, made small if it says nothing of its size."""
    if words[0] in SHELL:
        print(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    elif words[0] == "peftlab" and not is_flag_only(words):
        small = () if any(key in " ".join(words) for key in ("backbone", "budget")) else SMALL
        flags = [word for word in words[1:] if word.startswith("-")]  # before the words: none may part them
        soon = SOON if "scaling=meta" in words else ()
        call(words[0], *flags, *(word for word in words[1:] if word not in flags), *small, *SHORT, *soon)
    elif words[0] in SCRIPTS:
        call(*words)


def plain(text: str) -> str:
    """What is said without its numbers (and their signs), lines and frames: a page shows one machine's."""
    text = re.sub(r"[─━┏┳┓┃┡╇┩│└┴┘╭╮╰╯]", " ", text)
    text = re.sub(r"\b(?=\w*\d)[0-9a-f]{8,}\b", "#", text)
    text = re.sub(r"/\S*/outputs", "outputs", text)
    return " ".join(re.sub(r"(?:(?<!\w)[+-])?\d[\d,.]*", "#", text).split())


@pytest.fixture
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "argv", ["peftlab"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    yield
    GlobalHydra.instance().clear()


@pytest.mark.slow
@pytest.mark.usefixtures("_as_it_was")
@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs_in_its_order(
    page: str,
    bench: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a block prints stands in the `text` block below it, numbers aside; one that needs or takes much is resolved."""
    subprocess.run(["cp", "-r", f"{bench}/.", tmp_path], check=True)
    (tmp_path / "weights.safetensors").write_bytes((8).to_bytes(8, "little") + b"{}      ")
    rows = [f"{word} number {row},{word}" for row in range(20) for word in ("card", "loan")]
    for name in ("first", "source"):  # of runs that a page composes and starts from
        (tmp_path / "outputs" / name).mkdir(parents=True)
        (tmp_path / "outputs" / name / "adapter.safetensors").write_bytes(b"")
    (tmp_path / "messages.csv").write_text("\n".join(["text,label", *rows, ""]))
    (tmp_path / "faq.jsonl").write_text('{"question": "who?", "answer": "you"}\n' * 10)
    monkeypatch.setenv("PEFTLAB_DATA", str(with_data(tmp_path / "data")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    said, names = "", {"__name__": "__main__"}
    for block in blocks(page):
        block.write_file()
        if block.language == "text":
            for line in filter(None, map(plain, block.text.split("\n"))):
                assert line in said or line == "...", f"{page}:{block.line} shows {line}"
            continue
        capsys.readouterr()
        if block.language == "python" and block.file is None:
            if block.reason is None:
                exec(compile(block.text, f"{page}:{block.line}", "exec"), names)
        elif block.language == "bash":
            for words in block.commands():
                run(words) if block.reason is None else check(words)
        said = plain("".join(capsys.readouterr()))


def check(words: list[str]) -> None:
    """A command that the tests do not run: every job of it passes every check."""
    if words[0] == "peftlab" and not is_flag_only(words):
        for config in jobs(overrides(words)):
            resolve(config)
