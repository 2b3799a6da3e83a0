"""adapter.safetensors and adapter.yaml: what is written comes back, whole or not at all."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from peftlab.errors import UserError
from peftlab.record.adapter import CARD, WEIGHTS, read_adapter, write_adapter
from peftlab.record.whole import files_of

TENSORS = {
    "deltas.0.A": torch.tensor([[0.1, -0.0], [-2.0, 1e-40]]),
    "head.weight": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    "mask": torch.tensor([True, False]),
    "indices": torch.tensor([2**40, -1]),
    "half": torch.tensor([1 / 3], dtype=torch.bfloat16),
    "gamma": torch.tensor(2.0),
}
CARD_OF = {
    "backbone": "tiny",
    "backbone_hash": "0" * 64,
    "run_id": "0" * 16,
    "class_names": ["é", "yes", "1"],
    "cells": {"peft": {"0.q": {"rank": 2}}},
}


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


@pytest.mark.parametrize(("name", "writer"), [(WEIGHTS, "write_bytes"), (CARD, "write_text")])
def test_a_disk_that_is_full_leaves_the_old_file(folder, monkeypatch, name, writer):
    before = (folder / name).read_bytes()

    def half(path, *_, **__):
        with path.open("wb") as file:
            file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Path, writer, half)
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


@pytest.mark.parametrize("cut", [0, 3, 40, -4])
def test_damaged_weights(folder, cut):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:cut])
    with pytest.raises(
        UserError, match=rf"{WEIGHTS} cannot be read \(.*\); the file is damaged; legal: .*resume=false"
    ):
        read_adapter(folder)


@pytest.mark.parametrize(
    "data", [b"", b"3", b"- a", b"a: [", b"\xff\xfe{", b"\0\1\2", b"[" * 3000, b"a: " + b"{b: " * 3000]
)
def test_a_damaged_card(folder, data):
    (folder / CARD).write_bytes(data)
    with pytest.raises(UserError, match=rf"{CARD} .*; the file is damaged; legal: .*resume=false"):
        read_adapter(folder)


@pytest.mark.parametrize("key", ["backbone", "backbone_hash", "class_names", "cells"])
@pytest.mark.parametrize("value", [None, 3, "absent"])
def test_a_card_that_lacks_what_it_must_say(folder, key, value):
    card = {**CARD_OF, key: value}
    if value == "absent":
        del card[key]
    (folder / CARD).write_text(yaml.safe_dump(card))
    with pytest.raises(UserError, match=rf"{CARD} says no {key}; the file is damaged"):
        read_adapter(folder)


@pytest.mark.parametrize("cells", [{"peft": ["0.q"]}, {"peft": {"0.q": 8}}, {"peft": None}])
def test_cells_of_another_kind(folder, cells):
    (folder / CARD).write_text(yaml.safe_dump({**CARD_OF, "cells": cells}))
    with pytest.raises(UserError, match=rf"{CARD} says no cells"):
        read_adapter(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_never_loaded(folder, value):
    write_adapter(folder, {**TENSORS, "gamma": torch.tensor(value)}, CARD_OF)
    with pytest.raises(UserError, match=rf"{WEIGHTS}: gamma has a number that is not finite"):
        read_adapter(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
def test_a_file_that_the_run_did_not_write(folder, name):
    (folder / "result.json").write_text(json.dumps({"run_id": "1", "metrics": {}, "files": files_of(folder)}))
    read_adapter(folder)
    changed = {**TENSORS, "gamma": torch.tensor(3.0)}, {**CARD_OF, "class_names": ["a", "b", "c"]}
    write_adapter(
        folder, changed[0] if name == WEIGHTS else TENSORS, CARD_OF if name == WEIGHTS else changed[1]
    )
    with pytest.raises(UserError, match=rf"{name} is not the file that the run wrote: .*resume=false"):
        read_adapter(folder)
