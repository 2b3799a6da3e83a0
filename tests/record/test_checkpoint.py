"""last/state.pt comes back whole, belongs to one run, and holds no code."""

import pickle
import resource
import signal

import pytest
import torch

from peftlab.errors import UserError
from peftlab.record.checkpoint import FILE, load_last, save_last, saved_masks

ROWS = {"size": 3, "sha256": "4d"}
IDENTITY = {"config": "1a", "data split": "2b", "backbone": "3c"}
CELL = {"deltas.0_q.A": torch.randn(2, 3), "index.w": torch.tensor([1, 5]), "head.weight": torch.randn(2)}
STATE = {"learner": {"cell": CELL, "optimizers": [{"state": {}}], "outer": None}, "best": None}


def test_what_was_saved_comes_back(tmp_path):
    assert load_last(tmp_path, IDENTITY) is None
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    found = load_last(tmp_path, IDENTITY)
    assert found["step"] == 7
    assert found["identity"] == IDENTITY
    assert found["learner"]["optimizers"] == STATE["learner"]["optimizers"]
    assert found["best"] is None
    assert found["rows"] == ROWS
    assert found["learner"]["cell"].keys() == CELL.keys()
    assert all(torch.equal(value, CELL[name]) for name, value in found["learner"]["cell"].items())


def test_the_last_one_is_kept_alone_and_whole(tmp_path):
    for step in (1, 2):
        save_last(tmp_path, IDENTITY, step, ROWS, STATE)
    assert load_last(tmp_path, IDENTITY)["step"] == 2
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["state.pt"]

    class Unsaved:
        def __reduce__(self):
            raise MemoryError

    with pytest.raises(MemoryError):
        save_last(tmp_path, IDENTITY, 3, ROWS, {"learner": Unsaved()})
    assert load_last(tmp_path, IDENTITY)["step"] == 2, (
        "a save that was broken off took the place of a whole one"
    )
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["state.pt"]


@pytest.mark.parametrize("key", list(IDENTITY))
def test_another_run_s_state_is_refused(tmp_path, key):
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    with pytest.raises(UserError, match=rf"the {key} is no longer the one .*; resume=false starts over"):
        load_last(tmp_path, {**IDENTITY, key: "other"})


def test_masks_are_read_alone(tmp_path):
    assert saved_masks(tmp_path) is None
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    masks = saved_masks(tmp_path)
    assert masks.keys() == {"w"}
    assert torch.equal(masks["w"], CELL["index.w"])


def test_no_pickled_code_is_trusted(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    (tmp_path / FILE).parent.mkdir()
    torch.save({"identity": IDENTITY, "step": Evil()}, tmp_path / FILE)
    with pytest.raises(
        UserError, match=r"state\.pt cannot be read; the file is damaged; legal: resume=false"
    ) as error:
        load_last(tmp_path, IDENTITY)
    assert isinstance(error.value.__cause__, pickle.UnpicklingError)


def changed(path, **more):
    """The file again, with other values and the old hash."""
    state = torch.load(path, weights_only=True)
    torch.save({**state, **more}, path)


CELLS = {
    "A": {**CELL, "deltas.0_q.A": torch.zeros(2, 3)},
    "shape": {**CELL, "head.weight": torch.zeros(1, 2)},
}


@pytest.mark.parametrize(
    "more",
    [
        {"step": 8},
        {"rows": {"size": 4, "sha256": "4d"}},
        {"best": 1.0},
        *({"learner": {**STATE["learner"], "cell": cell}} for cell in CELLS.values()),
    ],
    ids=["step", "rows", "best", *CELLS],
)
def test_a_changed_value_is_not_gone_on_from(tmp_path, more):
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    changed(tmp_path / FILE, **more)
    with pytest.raises(UserError, match=r"state\.pt is not as it was saved: .*resume=false"):
        load_last(tmp_path, IDENTITY)


def test_a_flipped_byte_is_found_wherever_it_counts(tmp_path):
    """Every 7th byte of the file: the state is refused, or it is the same (what is flipped is only padding)."""
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    whole = (tmp_path / FILE).read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        (tmp_path / FILE).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            found = load_last(tmp_path, IDENTITY)
        except UserError:
            refused += 1
        else:
            cell = found["learner"]["cell"]
            assert all(torch.equal(value, CELL[name]) for name, value in cell.items())
            assert (found["step"], found["rows"], found["best"]) == (7, ROWS, None)
    assert refused > 20


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"\xff" * 100, b"[" * 3000, None], ids=["empty", "cut", "binary", "deep", "half"]
)
def test_damage_is_a_sentence_with_the_way_out(tmp_path, data):
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:900] if data is None else data)
    for read in (lambda: load_last(tmp_path, IDENTITY), lambda: saved_masks(tmp_path)):
        with pytest.raises(
            UserError, match=r"last/state\.pt cannot be read; the file is damaged; legal: resume=false"
        ):
            read()


@pytest.mark.parametrize("state", [[1, 2], {"model": torch.ones(2)}, {"step": 3}, torch.ones(2)])
def test_a_file_of_another_kind(tmp_path, state):
    (tmp_path / "last").mkdir()
    torch.save(state, tmp_path / FILE)
    with pytest.raises(
        UserError, match=r"is not the state of a run, or that of an earlier peftlab; legal: resume=false"
    ):
        load_last(tmp_path, IDENTITY)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_neither_saved_nor_loaded(tmp_path, value, monkeypatch):
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    bad = {
        **STATE,
        "learner": {**STATE["learner"], "cell": {**CELL, "head.weight": torch.tensor([1.0, value])}},
    }
    save_last(tmp_path, IDENTITY, 8, ROWS, bad)
    assert load_last(tmp_path, IDENTITY)["step"] == 7, "the one before stays"
    with monkeypatch.context() as patch:
        patch.setattr("peftlab.record.checkpoint._not_finite", lambda state: None)
        save_last(tmp_path, IDENTITY, 8, ROWS, bad)
    with pytest.raises(
        UserError, match=r"learner\.cell\.head\.weight has a number that is not finite; legal"
    ):
        load_last(tmp_path, IDENTITY)


def test_a_full_disk_is_an_error_of_the_disk(tmp_path):
    """torch has another word for it."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    save_last(tmp_path, IDENTITY, 7, ROWS, STATE)
    big = {**STATE, "best": {"cell": torch.zeros(100_000)}}
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save_last(tmp_path, IDENTITY, 8, ROWS, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert load_last(tmp_path, IDENTITY)["step"] == 7
    assert [path.name for path in (tmp_path / "last").iterdir()] == ["state.pt"]
