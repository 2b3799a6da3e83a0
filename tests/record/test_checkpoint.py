"""last/state.pt comes back whole, belongs to one run, and holds no code."""

import pickle

import pytest
import torch

from peftlab.errors import UserError
from peftlab.record.checkpoint import FILE, load_last, save_last, saved_masks

IDENTITY = {"config": "1a", "data split": "2b", "backbone": "3c"}
CELL = {"deltas.0_q.A": torch.randn(2, 3), "index.w": torch.tensor([1, 5]), "head.weight": torch.randn(2)}
STATE = {"learner": {"cell": CELL, "optimizers": [{"state": {}}], "outer": None}, "best": None}


def test_what_was_saved_comes_back(tmp_path):
    assert load_last(tmp_path, IDENTITY) is None
    save_last(tmp_path, IDENTITY, 7, STATE)
    found = load_last(tmp_path, IDENTITY)
    assert found["step"] == 7
    assert found["identity"] == IDENTITY
    assert found["learner"]["optimizers"] == STATE["learner"]["optimizers"]
    assert found["best"] is None
    assert found["learner"]["cell"].keys() == CELL.keys()
    assert all(torch.equal(value, CELL[name]) for name, value in found["learner"]["cell"].items())


def test_the_last_one_is_kept_alone_and_whole(tmp_path):
    for step in (1, 2):
        save_last(tmp_path, IDENTITY, step, STATE)
    assert load_last(tmp_path, IDENTITY)["step"] == 2
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["state.pt"]

    class Unsaved:
        def __reduce__(self):
            raise MemoryError

    with pytest.raises(MemoryError):
        save_last(tmp_path, IDENTITY, 3, {"learner": Unsaved()})
    assert load_last(tmp_path, IDENTITY)["step"] == 2, (
        "a save that was broken off took the place of a whole one"
    )
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["state.pt"]


@pytest.mark.parametrize("key", list(IDENTITY))
def test_another_run_s_state_is_refused(tmp_path, key):
    save_last(tmp_path, IDENTITY, 7, STATE)
    with pytest.raises(UserError, match=rf"the {key} is no longer the one .*; resume=false starts over"):
        load_last(tmp_path, {**IDENTITY, key: "other"})


def test_masks_are_read_alone(tmp_path):
    assert saved_masks(tmp_path) is None
    save_last(tmp_path, IDENTITY, 7, STATE)
    masks = saved_masks(tmp_path)
    assert masks.keys() == {"w"}
    assert torch.equal(masks["w"], CELL["index.w"])


def test_no_pickled_code_is_trusted(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    (tmp_path / FILE).parent.mkdir()
    torch.save({"identity": IDENTITY, "step": Evil()}, tmp_path / FILE)
    with pytest.raises(pickle.UnpicklingError):
        load_last(tmp_path, IDENTITY)
