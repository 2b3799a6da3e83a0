"""Frozen outputs of an earlier process: the same bits, and none where anything is another."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from peftlab.build import kept as module
from peftlab.build import trunk as trunk_module
from peftlab.build.experiment import build
from peftlab.build.kept import kept, load, save
from peftlab.config.resolve import resolve
from peftlab.fit.parallel import Ranks
from peftlab.inputs.cache import cached_files

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEFTLAB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_tensor_comes_back_as_it_was(dtype: torch.dtype) -> None:
    value = torch.tensor([[1.5, float("nan"), -0.0], [3e-39, 2.0, 7.0]], dtype=dtype)
    save("start", "k", CPU, value)
    found = load("start", "k", CPU)
    assert found is not None
    assert (found.shape, found.dtype) == (value.shape, dtype)
    assert torch.equal(found.view(torch.uint8), value.view(torch.uint8))


def test_another_key_code_library_or_number_of_threads_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    save("start", "k", CPU, torch.ones(2))
    assert load("start", "other", CPU) is None
    assert load("frozen", "k", CPU) is None
    for name, value in (("_code", "x"), ("_versions", ["torch 0"]), ("_processor", "z80")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda value=value: value)
            assert load("start", "k", CPU) is None
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert load("start", "k", CPU) is None


def test_it_is_built_once() -> None:
    built: list[int] = []

    def make() -> torch.Tensor:
        built.append(1)
        return torch.ones(2)

    assert torch.equal(kept("start", "k", CPU, make), kept("start", "k", CPU, make))
    assert len(built) == 1


@pytest.mark.usefixtures("fresh_trunk")
def test_a_second_process_computes_no_frozen_output(
    composed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    words = ("backbone=tiny", "dataset=digits_lt", "device=cpu")

    def answers() -> tuple[torch.Tensor, torch.Tensor]:
        for own in trunk_module._shared.values():  # as a new process has it
            own.clear()
        experiment = build(resolve(composed(*words)))
        split = experiment.trunk.dataset.open_test()
        frozen = experiment.frozen(split)
        assert frozen is not None
        with torch.no_grad():
            found = [frozen(batch.inputs) for batch in experiment.trunk.batches(split)]
        return experiment.trunk.start(experiment.task), torch.cat(found)

    first = answers()
    assert {file.parent.name for file in cached_files(folder)} == {"start", "frozen"}
    monkeypatch.setattr(trunk_module.Trunk, "features", None)
    second = answers()
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    monkeypatch.setenv("PEFTLAB_CACHE", "off")
    monkeypatch.undo()
    monkeypatch.setenv("PEFTLAB_CACHE", "off")
    assert all(torch.equal(one, two) for one, two in zip(first, answers(), strict=True))


@pytest.mark.usefixtures("fresh_trunk")
def test_one_of_several_ranks_remembers_nothing(composed: Callable[..., Any], folder: Path) -> None:
    """It computes its own rows of each batch: neither are they what others keep, nor is what others have kept its own."""
    alone = build(resolve(composed("backbone=tiny", "dataset=digits_lt", "device=cpu")))
    split = alone.trunk.dataset.open_test()
    batches = list(alone.trunk.batches(split))

    def parts(ranks: Ranks) -> list[torch.Tensor]:
        frozen = replace(alone, ranks=ranks).frozen(split)
        assert frozen is not None
        share = slice(ranks.rank, None, ranks.world)
        with torch.no_grad():
            return [frozen({key: value[share] for key, value in batch.inputs.items()}) for batch in batches]

    before = parts(Ranks(1, 2))
    assert not list(folder.glob("frozen/*"))
    whole = parts(Ranks())
    assert len(list(folder.glob("frozen/*"))) == 1
    for first, second, all_rows in zip(before, parts(Ranks(1, 2)), whole, strict=True):
        assert torch.equal(first, second)
        assert torch.allclose(first, all_rows[1::2], rtol=0, atol=1e-5)


@pytest.mark.usefixtures("fresh_trunk")
def test_what_has_not_a_row_for_each_item_is_not_used(
    composed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = build(resolve(composed("backbone=tiny", "dataset=digits_lt", "device=cpu"))).trunk
    split = trunk.dataset.open_test()
    monkeypatch.setattr(trunk_module, "load", lambda *key: torch.zeros(451, 10))
    assert trunk._kept_outputs(split, "k") == []
    monkeypatch.setattr(trunk_module, "load", lambda *key: torch.zeros(len(split), 10))
    assert [len(part) for part in trunk._kept_outputs(split, "k")] == [250, 250, 250, 151]
