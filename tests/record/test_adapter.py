"""adapter.safetensors and adapter.yaml: what is written comes back, whole or not at all."""

from pathlib import Path

import pytest
import torch
import yaml

from peftlab.errors import UserError
from peftlab.record.adapter import CARD, WEIGHTS, read_adapter, write_adapter

TENSORS = {
    "deltas.0.A": torch.tensor([[0.1, -0.0], [float("inf"), 1e-40]]),
    "head.weight": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    "mask": torch.tensor([True, False]),
    "indices": torch.tensor([2**40, -1]),
    "half": torch.tensor([1 / 3], dtype=torch.bfloat16),
    "gamma": torch.tensor(2.0),
}
CARD_OF = {"run_id": "0" * 16, "class_names": ["é", "yes", "1"], "cells": {"peft": {"0.q": {"rank": 2}}}}


@pytest.fixture
def folder(tmp_path):
    write_adapter(tmp_path, TENSORS, CARD_OF)
    return tmp_path


def test_what_is_written_comes_back_bit_for_bit(folder):
    tensors, card = read_adapter(folder)
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)
    assert torch.signbit(tensors["deltas.0.A"][0, 1])
    assert card == CARD_OF
    assert list(card) == list(CARD_OF)  # in the order that it was written in
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, CARD}


@pytest.mark.parametrize(("name", "writer"), [(WEIGHTS, "save_file"), (CARD, "Path.write_text")])
def test_a_disk_that_is_full_leaves_the_old_file(folder, monkeypatch, name, writer):
    before = (folder / name).read_bytes()

    def half(*given):
        path = next(value for value in given if isinstance(value, Path))
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(f"peftlab.record.adapter.{writer}", half)
    with pytest.raises(OSError, match="disk full"):
        write_adapter(folder, {"a": torch.ones(3)}, {"run_id": "new"})
    assert (folder / name).read_bytes() == before
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, CARD}


def test_a_card_that_is_no_yaml_leaves_the_old_one(folder):
    with pytest.raises(yaml.representer.RepresenterError):
        write_adapter(folder, TENSORS, {"run_id": "new", "path": object()})
    assert read_adapter(folder)[1] == CARD_OF


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError) as error:
        read_adapter(folder)
    assert str(error.value) == f"{folder} has no {name}; legal: the folder of a finished run"


def test_damaged_weights(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4])
    with pytest.raises(UserError, match=rf"{WEIGHTS} cannot be read \(.*\); the file is damaged$"):
        read_adapter(folder)


@pytest.mark.parametrize("data", [b"", b"3", b"- a", b"a: [", b"\xff\xfe{"])
def test_a_damaged_card(folder, data):
    (folder / CARD).write_bytes(data)
    with pytest.raises(UserError, match=rf"{CARD} .*; the file is damaged$"):
        read_adapter(folder)
