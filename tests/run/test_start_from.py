"""fit.start_from: a run that begins where another one ended, on its data or on others."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.go import go
from PIL import Image
from safetensors.torch import load_file

from peftlab.config.identity import Identity
from peftlab.config.name import config_hash
from peftlab.config.resolve import resolve
from peftlab.errors import UserError

SMALL = ("backbone=tiny", "device=cpu", "fit.epochs=1", "fit.batch_size=64", "optim.lr=0.1")
DUO = ("backbone=tiny_duo", "task=contrast", "device=cpu", "fit.epochs=1", "optim.lr=0.1")
META = ("scaling=meta", "scaling.outer.every=1", "scaling.outer.warmup=1", "scaling.outer.lr=0.1")
FILE = "adapter.safetensors"
Config = Callable[..., dict[str, Any]]


def numbers_of(result: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in result["metrics"].items() if name.startswith("test/")}


@pytest.mark.parametrize(
    "words",
    [
        ("peft=lora", "fit.ema=0.9"),
        ("peft=dora",),
        ("peft=pissa",),
        ("peft=vpt_deep",),
        ("peft=prefix", "peft.mlp=8"),  # after training it has no MLP any more
        ("peft=mam",),
        ("peft=bitfit",),
        ("peft=mask_random", "peft.keep_ratio=0.1"),
        ("peft=linear_probe", "head=linear"),
        ("placement=gradient_norm", "placement.keep=3"),
        ("scaling=learned",),
        ("scaling=gated",),
        META,
    ],
)
def test_without_a_step_it_says_what_that_run_said(
    composed: Config, tmp_path: Path, words: tuple[str, ...]
) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    found = go(first, composed(*SMALL, *words))
    more = ("fit.epochs=0", f"fit.start_from={first}", "seed=5", "dataset.seed=0")
    result = go(again, composed(*SMALL, *words, *more))
    assert numbers_of(result) == pytest.approx(numbers_of(found), abs=1e-12)
    assert (again / "predictions.csv").read_text() == (first / "predictions.csv").read_text()
    saved, own = load_file(first / FILE), load_file(again / FILE)
    assert saved.keys() == own.keys()
    assert all(torch.equal(value, own[name]) for name, value in saved.items())
    assert result["sites"] == found["sites"]


def test_it_trains_on_from_there_and_a_stop_changes_nothing(composed: Config, tmp_path: Path) -> None:
    first, on, parts = tmp_path / "first", tmp_path / "on", tmp_path / "parts"
    go(first, composed(*SMALL))
    words = (*SMALL, "fit.epochs=2", f"fit.start_from={first}")
    result = go(on, composed(*words))
    go(parts, composed(*words, "fit.stop_after=1"))
    assert numbers_of(go(parts, composed(*words))) == numbers_of(result)
    whole, other = load_file(on / FILE), load_file(parts / FILE)
    assert all(torch.equal(value, other[name]) for name, value in whole.items())
    assert not torch.equal(whole["deltas.0_q.B"], load_file(first / FILE)["deltas.0_q.B"])


def test_other_classes_have_a_head_of_their_own(composed: Config, tmp_path: Path, folder: Path) -> None:
    first, other = tmp_path / "first", tmp_path / "other"
    go(first, composed(*SMALL))
    more = ("dataset=image_folder", f"dataset.path={folder}", "fit.epochs=0", f"fit.start_from={first}")
    result = go(other, composed(*SMALL, *more))
    saved, own = load_file(first / FILE), load_file(other / FILE)
    assert all(torch.equal(value, own[name]) for name, value in saved.items() if not name.startswith("head."))
    assert (saved["head.weight"].shape[0], own["head.weight"].shape[0]) == (10, 3)
    assert result["metrics"]["test/mean_num"] > 0


@pytest.mark.parametrize(
    "words", [("peft=coop", "head.learn_scale=true"), ("peft=maple", "peft.num_tokens=6"), ("peft=lora",)]
)
def test_two_towers_read_the_names_of_other_data(
    composed: Config, tmp_path: Path, folder: Path, words: tuple[str, ...]
) -> None:
    """Cross-dataset transfer: what was learned on one set names the classes of another."""
    first, other = tmp_path / "first", tmp_path / "other"
    go(first, composed(*DUO, *words, "dataset.max_per_class=8"))
    more = ("dataset=image_folder", f"dataset.path={folder}", "fit.epochs=0", f"fit.start_from={first}")
    result = go(other, composed(*DUO, *words, *more))
    saved, own = load_file(first / FILE), load_file(other / FILE)
    assert saved.keys() == own.keys()
    assert all(torch.equal(value, own[name]) for name, value in saved.items())
    with (other / "per_class.csv").open(newline="") as rows:
        assert [row["class"] for row in csv.DictReader(rows)] == ["ant", "bee", "cow"]
    assert "frozen/mean_acc" in result["metrics"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of one colour and of three classes."""
    for number, name in enumerate(("ant", "bee", "cow")):
        for split in ("train", "test"):
            (tmp_path / "pictures" / split / name).mkdir(parents=True)
            for place in range(4):
                shade = 40 + 20 * place + (split == "test")
                colour = tuple(shade if channel == number else place for channel in range(3))
                Image.new("RGB", (8, 8), colour).save(tmp_path / "pictures" / split / name / f"{place}.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("peft.rank=2",), r"the saved deltas\.\S+ has shape"),
        (("placement.depth=0",), r"acts at 1\.k, and this run does not; legal: a run with the same sites"),
        (
            ("peft=adaptformer",),
            r"does not act at 0\.ffn, and this run does; legal: a run with the same sites",
        ),
        (("peft=mam",), r"has peft, and this run \w+, \w+; legal: a run of the same method"),
        (("scaling=learned",), r"missing \['gamma\.raw'\]"),
        (
            ("backbone.model_args.patch_size=16",),
            r"was trained on .* with hash \w+, and this run is on .*; legal: the same backbone",
        ),
        (
            ("placement=supernet", "placement.widths=[4,8]"),
            r"placement=supernet, which searches from nothing",
        ),
    ],
)
def test_a_run_that_does_not_fit_is_refused(
    composed: Config, ended: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError, match=rf"fit\.start_from=.*{said}"):
        go(tmp_path / "other", composed(*SMALL, f"fit.start_from={ended}", *words))


def test_a_folder_without_a_run_and_a_damaged_one_are_refused(
    composed: Config, ended: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"fit\.start_from={tmp_path} has no {FILE}; legal: the folder of a"):
        resolve(composed(*SMALL, f"fit.start_from={tmp_path}"))
    copy = tmp_path / "copy"
    shutil.copytree(ended, copy)
    (copy / FILE).write_bytes((copy / FILE).read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(UserError, match="is not the file that the run wrote"):
        resolve(composed(*SMALL, f"fit.start_from={copy}"))


def test_the_run_is_known_by_what_it_starts_from_and_not_by_where_that_lies(
    composed: Config, ended: Path, tmp_path: Path
) -> None:
    shutil.copytree(ended, tmp_path / "moved")
    here, there = (composed(*SMALL, f"fit.start_from={place}") for place in (ended, tmp_path / "moved"))
    assert config_hash(here) == config_hash(there) != config_hash(composed(*SMALL))
    assert Identity(here).saved["inputs"]["fit.start_from"]["path"] == str(ended / FILE)
    (tmp_path / "moved" / FILE).write_bytes(b"other")
    assert config_hash(there) != config_hash(here)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of LoRA."""
    from fixtures.configs import composed

    place = tmp_path_factory.mktemp("ended") / "run"
    go(place, composed(*SMALL))
    return place
