"""Every file of a run folder, damaged in every way, read by every command: one sentence that names the file, or none needed."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from fixtures.configs import composed
from safetensors.torch import load, save

import peftlab
from peftlab.command.export import main as export_main
from peftlab.command.predict import main as predict_main
from peftlab.command.sweep import main as sweep_main
from peftlab.config.identity import Identity
from peftlab.config.resolve import resolve
from peftlab.errors import UserError
from peftlab.record.record import Record
from peftlab.record.status import DONE
from peftlab.run.run import run

pytestmark = pytest.mark.slow
WORDS = ("backbone=tiny", "device=cpu", "fit.epochs=1", "fit.batch_size=64", "scaling=learned")
DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "absent": lambda data: None,
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "a list": lambda data: b"[1, 2]",
    "a number": lambda data: b"3",
    "binary": lambda data: bytes(range(256)) * 20,
    "deep": lambda data: b"[" * 3000,
    "deep mapping": lambda data: b"{a: " * 3000,
    "another mapping": lambda data: b'{"name": "my thesis"}',
    "a flipped bit": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
}
READ = ("config.yaml", "adapter.yaml", "adapter.safetensors", "result.json", "status.json")
OTHERS = ("metrics.jsonl", "split.json", "gamma.csv", "per_class.csv", "predictions.csv", "last/state.pt")


def ended(main: Callable[[list[str]], int], words: list[str]) -> int:
    """The exit code of a command, however it ends."""
    try:
        return main(words)
    except SystemExit as stop:
        return int(str(stop.code))


export, predict, sweep = (partial(ended, main) for main in (export_main, predict_main, sweep_main))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of one run."""
    folder = tmp_path_factory.mktemp("sweep")
    config = composed(*WORDS)
    record = Record(folder / "run", {"peft": "lora"}, config)
    record.identity = Identity(config)
    run(resolve(config), record, None)
    record.release()
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(finished, tmp_path / "sweep"))
    picture(tmp_path / "digit.png")
    return copy


def picture(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8), (9, 90, 200)).save(path)


def damage(path: Path, kind: str) -> None:
    data = DAMAGE[kind](path.read_bytes())
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)


def is_sentence(text: str, place: Path, name: str) -> None:
    assert "Traceback" not in text
    assert text.count("\n") <= 1, text
    assert str(place / "run") in text
    assert name in text or "not finished" in text or "fit each other" in text, text


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", READ)
def test_whoever_loads_says_what_is_damaged(
    place: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place / "run"
    damage(folder / name, kind)
    try:
        peftlab.load(folder)
    except UserError as error:
        is_sentence(str(error), place, name)
        is_refused = True
    else:  # an exported adapter has neither a state nor a result
        is_refused = False
        assert name == "status.json" or (name, kind) == ("result.json", "absent") or kind == "a flipped bit"
    for call, words in (
        (export, [str(folder), "--to", "adapter"]),
        (predict, [str(folder), str(place.parent / "digit.png")]),
    ):
        capsys.readouterr()
        code = call(words)
        said = capsys.readouterr()
        assert code in (0, 1, 2)
        if code:
            is_sentence(said.err, place, name)
        assert code in (1, 2) or not is_refused


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", [*READ, *OTHERS])
def test_a_report_counts_it_and_goes_on(
    place: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(place / "run", place / "whole")
    result = json.loads((place / "whole" / "result.json").read_text())
    (place / "whole" / "result.json").write_text(json.dumps({**result, "run_id": "another"}))
    status = json.loads((place / "whole" / "status.json").read_text())
    (place / "whole" / "status.json").write_text(json.dumps({**status, "choices": {"peft": "other"}}))
    damage(place / "run" / name, kind)
    assert sweep([str(place)]) in (0, 1)
    assert "whole" in (place / "sweep.csv").read_text()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["absent", "empty", "cut short", "binary", "deep", "another mapping"])
@pytest.mark.parametrize("name", [*READ, *OTHERS])
@pytest.mark.parametrize("state", ["ok", "interrupted"])
def test_the_same_command_goes_on_or_names_the_way_out(place: Path, name: str, kind: str, state: str) -> None:
    """And with resume=false it always starts over."""
    folder, config = place / "run", composed(*WORDS)
    if state == "interrupted":
        status = json.loads((folder / "status.json").read_text())
        (folder / "status.json").write_text(json.dumps({**status, "state": state}))
        if name != "result.json":
            (folder / "result.json").unlink()
    damage(folder / name, kind)
    record = Record(folder, {}, config)
    record.identity = Identity(config)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    try:
        if not record.look(resume=True):
            run(resolve(config), record, None)
    except UserError as error:
        is_sentence(str(error), place, name)
        told = str(error)
    else:
        told = ""
        assert record.read("status.json")["state"] in DONE
    finally:
        record.release()
    if told:
        assert "resume=false" in told
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    again = Record(folder, {}, config)
    again.identity = record.identity
    assert again.take(resume=False) is False


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_gamma_that_is_damaged_places_nothing(place: Path, kind: str) -> None:
    damage(place / "run" / "gamma.csv", kind)
    words = ("placement=from_gamma", f"placement.run={place / 'run'}", "placement.keep=2")
    with pytest.raises(UserError, match=r"gamma\.csv"):
        resolve(composed(*WORDS[:-1], *words))


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "a flipped bit"])
def test_a_file_of_cells_that_is_damaged_places_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text("cells: {0.q: {rank: 4}}\n")
    damage(path, kind)
    with pytest.raises(UserError, match=rf"placement\.file={path}"):
        resolve(composed(*WORDS, "placement=from_file", f"placement.file={path}"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_loaded_by_nobody(
    place: Path, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place / "run" / "adapter.safetensors"
    tensors = load(path.read_bytes())
    tensors["head.weight"] = torch.full_like(tensors["head.weight"], value)
    path.write_bytes(save(tensors))
    (place / "run" / "result.json").unlink()  # so that only the numbers tell
    with pytest.raises(UserError, match=r"head\.weight has a number that is not finite"):
        peftlab.load(place / "run")
    assert export([str(place / "run"), "--to", "timm"]) == 2
    assert predict([str(place / "run"), str(place.parent / "digit.png")]) == 2
    assert capsys.readouterr().err.count("not finite") == 2


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind not in ("absent", "a flipped bit")])
def test_an_export_whose_card_is_damaged_is_replaced_or_named(
    place: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export([str(place / "run"), "--to", "adapter"]) == 0
    card = place / "run" / "export_adapter" / "export.yaml"
    damage(card, kind)
    code = export([str(place / "run"), "--to", "adapter", "--force"])
    said = capsys.readouterr().err
    assert kind == "cut short" or (code == 0) == (kind == "another mapping"), said  # half a card may be one
    if code:
        is_sentence(said, place, "export.yaml")


@pytest.mark.parametrize("key", ["class_names", "cells", "backbone_hash"])
def test_cards_and_configs_that_lack_a_key(place: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "run" / "adapter.yaml"
    card: dict[str, Any] = yaml.safe_load(path.read_text())
    del card[key]
    path.write_text(yaml.safe_dump(card))
    (place / "run" / "result.json").unlink()
    assert predict([str(place / "run"), str(place.parent / "digit.png")]) == 2
    is_sentence(capsys.readouterr().err, place, "adapter.yaml")
    for group in ("peft", "backbone", "seed"):
        config = yaml.safe_load((place / "run" / "config.yaml").read_text())
        del config[group]
        (place / "run" / "config.yaml").write_text(yaml.safe_dump(config))
        with pytest.raises(UserError) as error:
            peftlab.load(place / "run")
        assert str(place / "run") in str(error.value)
