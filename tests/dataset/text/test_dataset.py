"""dataset=... of texts: every YAML, the tokens that act, what is cut, the lock on the test, and each wrong value."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.configs import composed
from fixtures.tokenizer import text_spec

from peftlab.config.resolve import choice
from peftlab.dataset.batches import Draws, EvalBatches, TrainBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.overlap import overlap, parts_of
from peftlab.dataset.split import Split
from peftlab.errors import UserError
from peftlab.inputs.text import TextSpec

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs" / "dataset").glob("*.yaml"))
KEYS = {
    *(
        "_target_",
        "name",
        "source",
        "path",
        "imbalance",
        "max_per_class",
        "seed",
        "groups",
        "group_counts_imbalance",
    ),
    *("val_fraction", "num_workers", "max_length", "fill_test", "group_by_length", "test_max_per_class"),
}
LABELS = {"train": [0] * 16 + [1] * 8, "test": [0, 1, 1]}
Build = Callable[..., Dataset]


@pytest.fixture
def build() -> Build:
    """`build("trec_lt", spec, imbalance=10.0)`: a YAML of the group, changed, resolved and called."""

    def make(name: str, spec: TextSpec | None = None, /, *, run_seed: int = 0, **changes: Any) -> Dataset:
        config = composed(f"dataset={name}")["dataset"]
        config["source"] |= changes.pop("source", {})
        made: Dataset = choice(config | changes)(spec or text_spec(), run_seed)
        return made

    return make


@pytest.fixture
def small(build: Build, text_folder_of: Callable[..., Path]) -> Build:
    """`small(max_length=4)`: 16 and 8 texts of three words to train on, three to test."""
    root = text_folder_of(LABELS)
    return lambda spec=None, **changes: build("text_hub", spec, path=str(root), **changes)


def test_every_file_of_texts_has_the_same_keys() -> None:
    every = {file.stem: composed(f"dataset={file.stem}")["dataset"] for file in CONFIGS}
    files = {name: node for name, node in every.items() if node["_target_"].endswith(".text_dataset")}
    assert set(files) == {
        "banking77_lt", "clinc150_lt", "rte", "sick", "sst2", "text_folder", "text_hub", "trec_lt"
    }  # fmt: skip
    for name, config in files.items():
        assert set(config) == KEYS
        assert config["name"] == name


def test_batches_are_token_ids(small: Build) -> None:
    built = small()
    batch = EvalBatches(built.train, built.eval_transform, batch_size=5, num_workers=0).batch(0)
    assert list(batch.inputs) == ["input_ids", "attention_mask", "token_type_ids"]
    assert batch.inputs["input_ids"].shape == (5, 5)
    assert batch.inputs["input_ids"][1].tolist() == [2, 5, 4, 4, 3]  # [CLS] b a a [SEP]
    assert batch.targets.tolist() == [0] * 5
    assert (built.noun, built.note) == ("texts", "none is longer than 16 tokens")


def test_what_the_network_does_not_read_is_not_given(small: Build) -> None:
    built = small(text_spec(inputs=("input_ids", "attention_mask")))
    batch = TrainBatches(built.train, built.train_transform, batch_size=5, draws=Draws(0)).batch(0)
    assert list(batch.inputs) == ["input_ids", "attention_mask"]


def test_cuts_and_batches_are_those_of_any_data(small: Build, cut: Callable[..., Dataset]) -> None:
    """The same rows as of words of the same counts: kinds of data do not touch the randomness."""
    keys: dict[str, Any] = {"imbalance": 4.0, "val_fraction": 0.25, "seed": 3}
    built, words = small(run_seed=2, **keys), small(run_seed=2, **keys, num_workers=2)
    assert built.index_hash == words.index_hash
    other = cut([16, 8], 2, imbalance=4.0, val_fraction=0.25, seed=3)
    assert built.counts.tolist() == other.counts.tolist()
    ours, theirs = (
        TrainBatches(
            made.train, made.train_transform, batch_size=4, draws=Draws(1), num_workers=made.num_workers
        )
        for made in (built, words)
    )
    for number, batch in zip(range(6), theirs.iterate(0), strict=False):
        assert torch.equal(batch.rows, ours.batch(number).rows)
        assert torch.equal(batch.inputs["input_ids"], ours.batch(number).inputs["input_ids"])


def test_neither_the_tokenizer_nor_the_length_moves_the_hash(small: Build) -> None:
    """Nor which inputs there are; but the transform's line tells them, which outputs are kept by."""
    built = [small(), small(text_spec("b a")), small(max_length=4)]
    assert len({one.index_hash for one in built}) == 1
    assert len({one.eval_transform.text for one in built}) == 3


def test_what_is_cut_is_counted_and_said(build: Build, tmp_path: Path) -> None:
    rows = ["a,x", "a b c,x", "a b c d e,x", "a b,y", "a b c d e f g h,y", "a,y"]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "test.csv").write_text("text,label\na b c d e f g h,x\n")
    whole = build("text_folder", path=str(tmp_path))
    assert whole.note == "none is longer than 16 tokens"
    cut = build("text_folder", path=str(tmp_path), max_length=5)
    assert cut.note == "2 of 6 cut to 5 tokens, which lose 3 (median) to 5"
    assert build("text_folder", text_spec(max_length=5), path=str(tmp_path)).note == cut.note
    batch = EvalBatches(cut.train, cut.eval_transform, batch_size=6, num_workers=0).batch(0)
    assert batch.inputs["attention_mask"].sum(1).tolist() == [3, 5, 5, 4, 5, 3]


def test_more_tokens_than_the_network_takes(small: Build) -> None:
    with pytest.raises(UserError) as error:
        small(max_length=17)
    assert str(error.value) == (
        "dataset.max_length=17 is more than the 16 tokens that the backbone takes; legal: at most as many, or null"
    )


def test_pairs(build: Build, text_folder_of: Callable[..., Path]) -> None:
    root = text_folder_of(LABELS, {"other": lambda row: "h g"})
    built = build("text_hub", path=str(root), source={"pair_column": "other"})
    batch = EvalBatches(built.train, built.eval_transform, batch_size=1, num_workers=0).batch(0)
    assert batch.inputs["input_ids"].tolist() == [[2, 4, 4, 4, 3, 11, 10, 3]]
    assert batch.inputs["token_type_ids"].tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]


def test_the_test_split_stays_shut(small: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_args: Any) -> Split:
        raise AssertionError("the test split was opened")

    whole = small().open_test()
    assert whole.labels.tolist() == LABELS["test"]
    assert EvalBatches(whole, small().eval_transform, batch_size=3, num_workers=0).batch(0).inputs[
        "input_ids"
    ].shape == (3, 5)
    monkeypatch.setattr("peftlab.dataset.source.text_hub._Reader.split", _all_but("test", locked))
    built = small(val_fraction=0.25, imbalance=2.0)
    next(TrainBatches(built.train, built.train_transform, batch_size=4, draws=Draws(0)).iterate(0))
    overlap(built, parts_of(built)).check()
    with pytest.raises(AssertionError, match="was opened"):
        built.open_test()


def _all_but(name: str, locked: Callable[..., Split]) -> Callable[..., Split]:
    from peftlab.dataset.source.text_hub import _Reader

    own = _Reader.split
    return lambda self, split, table: locked() if split == name else own(self, split, table)


def test_texts_in_two_splits_are_told(build: Build, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\nWhat is it?,x\na b,x\nc d,y\ne,y\nf,x\n")
    (tmp_path / "test.csv").write_text('text,label\n"what, is it",x\ng h,y\n"A, B!",y\n')
    built = build("text_folder", path=str(tmp_path))
    found = overlap(built, parts_of(built))
    found.check()
    assert found.line == "5 train, 3 test; 2 of test also in train; ignored: nothing"
    (told,) = found.warnings
    assert f"line 2 of {tmp_path}/test.csv is line 2 of {tmp_path}/train.csv" in told


def test_a_test_that_is_a_copy_is_refused(build: Build, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na b,x\nc d,x\ne,y\nf,y\n")
    (tmp_path / "test.csv").write_text("text,label\nA b!,x\nC-D,x\nE,y\nF.,y\n")
    built = build("text_folder", path=str(tmp_path))
    with pytest.raises(UserError, match=r"^dataset has the same items in train and test"):
        overlap(built, parts_of(built)).check()


def test_a_larger_test(small: Build) -> None:
    built = small(imbalance=8.0, fill_test=3)
    assert built.counts.tolist() == [16, 2]
    assert small(imbalance=8.0).open_test().counts(2).tolist() == [1, 2]
    assert built.open_test().counts(2).tolist() == [1, 3]  # of class 0 all train
    assert not overlap(built, parts_of(built)).twice


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "counts", "test", "groups", "twice"),
    [
        ("trec_lt", [400, 182, 83, 38, 17, 8], 1087, [2, 2, 2], None),
        ("clinc150_lt", [100, 2], 4500, [39, 58, 53], None),
        ("banking77_lt", [187, 3], 3080, [26, 28, 23], None),
        ("sst2", [3310, 3610], 1821, [2, 0, 0], {("train", "val"): 1, ("train", "test"): 2}),
        ("rte", [1249, 1241], 277, [2, 0, 0], {}),
        ("sick", [1427, 2829, 708], 4963, [3, 0, 0], {("train", "test"): 38}),
    ],
)
def test_the_sets_of_the_experiments(
    build: Build,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    counts: list[int],
    test: int,
    groups: list[int],
    twice: dict[tuple[str, str], int] | None,
) -> None:
    if not (data_dir / "text").is_dir():
        pytest.skip(f"no text sets in {data_dir}")
    monkeypatch.setenv("PEFTLAB_DATA", str(data_dir))
    built = build(name, text_spec("what is the a", max_length=64))
    found = built.counts.tolist()
    assert (found if len(found) < 10 else [max(found), min(found)]) == counts
    assert [len(built.groups[group]) for group in ("head", "medium", "tail")] == groups
    assert len(built.open_test()) == test
    if twice is not None:
        known = overlap(built, parts_of(built)).twice or {}
        assert {pair: len(items) for pair, items in known.items()} == twice


@pytest.mark.data
@pytest.mark.parametrize(("name", "number"), [("trec_lt", 11), ("clinc150_lt", 19), ("banking77_lt", 25)])
def test_test_questions_that_are_training_questions(
    build: Build, data_dir: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    if not (data_dir / "text").is_dir():
        pytest.skip(f"no text sets in {data_dir}")
    monkeypatch.setenv("PEFTLAB_DATA", str(data_dir))
    whole = build(name, imbalance=None, max_per_class=None, fill_test=None)
    assert len((overlap(whole, parts_of(whole)).twice or {})["train", "test"]) == number


def test_the_note_is_of_what_trains_and_validates(small: Build) -> None:
    built = small(max_length=4, val_fraction=0.25)
    assert built.note == "24 of 24 cut to 4 tokens, which lose 1 (median) to 1"
    assert replace(built, note="").note == ""
    assert np.sum(built.counts) == 18


def test_a_smaller_test(small: Build) -> None:
    whole, few = small(), small(test_max_per_class=1)
    assert whole.open_test().counts(2).tolist() == [1, 2]
    assert few.open_test().counts(2).tolist() == [1, 1]
    assert set(few.open_test().rows) < set(whole.open_test().rows)
    assert few.note.endswith("; test: at most 1 a class")
    assert "a class" not in whole.note
    filled = small(test_max_per_class=3, max_per_class=4, fill_test=6)
    assert filled.open_test().counts(2).tolist() == [3, 3], "of those that the long tail left, too"
