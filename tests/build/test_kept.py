"""Frozen outputs of an earlier process: the same bits, and none where anything is another."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from peftlab.build import kept as module
from peftlab.build import trunk as trunk_module
from peftlab.build.experiment import build
from peftlab.build.kept import kept, load, save
from peftlab.config.resolve import resolve
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
    monkeypatch.setattr(trunk_module.Trunk, "_features", None)
    second = answers()
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    monkeypatch.setenv("PEFTLAB_CACHE", "off")
    monkeypatch.undo()
    monkeypatch.setenv("PEFTLAB_CACHE", "off")
    assert all(torch.equal(one, two) for one, two in zip(first, answers(), strict=True))
