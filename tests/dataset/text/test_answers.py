"""dataset=... of questions with answers: every YAML, tokens and masks, what is cut, and each wrong value."""

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
from peftlab.dataset.batches import EvalBatches
from peftlab.dataset.dataset import Dataset
from peftlab.dataset.text.tokens import Tokens
from peftlab.errors import UserError
from peftlab.inputs.text import TextSpec

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs" / "dataset").glob("*.yaml"))
LABELS = {"train": [0] * 6, "test": [0, 0]}
MORE = {"question": lambda row: "why" + "y" * row, "answer": lambda row: "so" * (1 + row % 2)}
FORM = "Q: {question}\nA: {answer}"
Build = Callable[..., Dataset]


@pytest.fixture
def spec() -> TextSpec:
    from peftlab.backbone.choice import random_of

    spec = random_of(choice(composed("backbone=tiny_causal")["backbone"])).input_spec
    assert isinstance(spec, TextSpec)
    return spec


@pytest.fixture
def build(spec: TextSpec, text_folder_of: Callable[..., Path]) -> Build:
    root = text_folder_of(LABELS, MORE)

    def make(**changes: Any) -> Dataset:
        config = composed("dataset=answer_hub")["dataset"] | {"path": str(root), "template": FORM}
        made: Dataset = choice(config | changes)(spec, 0)
        return made

    return make


def tokens(split: Any) -> Tokens:
    assert isinstance(split.items, Tokens)
    return split.items


def test_every_file_of_answers_has_the_same_keys() -> None:
    every = {file.stem: composed(f"dataset={file.stem}")["dataset"] for file in CONFIGS}
    files = {name: node for name, node in every.items() if node["_target_"].endswith(".answer_dataset")}
    assert set(files) == {"answer_folder", "answer_hub", "arithmetic", "e2e", "gsm8k", "svamp"}
    assert len({frozenset(node) for node in files.values()}) == 1
    assert all(node["name"] == name for name, node in files.items())


def test_one_text_of_a_question_its_answer_and_its_end(build: Build, spec: TextSpec) -> None:
    """The tiny tokenizer reads bytes: what they are can be said without it."""
    data = build()
    (item,) = tokens(data.train).take(np.array([1]))
    number = {letter: spec.tokenizer.encode([letter], None, 9)[0].ids for letter in "Q: whyAso\n"}  # type: ignore[attr-defined]
    asked, said = "Q: whyy\nA:", " soso"
    assert item.ids.tolist() == [*(i for letter in asked + said for i in number[letter]), 1]
    assert item.types.tolist() == [0] * len(asked) + [1] * (len(said) + 1)
    assert tokens(data.train).num_answered(np.array([0, 1])).tolist() == [4, 6]
    assert tokens(data.train).texts(np.array([1])) == [("whyy", "soso")]
    assert data.answers is not None
    assert data.answers.tokenizer.decode(item.ids.tolist()) == "Q: whyy\nA: soso"


def test_a_batch_says_which_tokens_are_an_answer(build: Build) -> None:
    data = build()
    batch = EvalBatches(data.train, data.eval_transform, batch_size=2, num_workers=0).batch(0)
    assert set(batch.inputs) == {"input_ids", "attention_mask", "answer_mask"}
    ids, mask, answers = (batch.inputs[name] for name in ("input_ids", "attention_mask", "answer_mask"))
    assert answers.sum(1).tolist() == [4, 6]
    assert (answers <= mask).all()
    # what a network shall give: the answer's tokens, and nothing elsewhere
    assert torch.equal(batch.targets, torch.where(answers.bool(), ids, -100))


def test_what_is_too_long_loses_its_end_and_is_counted(build: Build) -> None:
    data = build(max_answer=4)  # " so" and its end; of " soso" the end is cut
    assert tokens(data.train).num_answered(data.train.rows).tolist() == [4] * 6
    assert "3 of 6 cut to 512 tokens, which lose 2 (median) to 2" in data.note
    data = build(max_length=18)
    assert "cut to 18 tokens" in data.note
    assert build().note == "none is longer than 512 tokens"


def test_a_question_without_room_for_its_answer_is_refused(build: Build) -> None:
    """The longest question to train on has 14 tokens, that of the test 16."""
    with pytest.raises(
        UserError, match=r"max_length=14 leaves no token to the answer in row 5 of the split train"
    ):
        build(max_length=14)
    data = build(max_length=16)
    assert data.test_contents is not None
    with pytest.raises(UserError, match="row 1 of the split test, whose question is as long"):
        data.test_contents()  # which a run asks for before it trains


def test_a_template_is_part_of_what_is_done_to_an_item(build: Build) -> None:
    assert build().eval_transform.text != build(template="{question} {answer}").eval_transform.text
    assert FORM.replace("\n", "\\n") in build().transform_text


def test_a_backbone_that_writes_no_text_is_refused(spec: TextSpec) -> None:
    config = composed("dataset=answer_hub")["dataset"]
    for other in (text_spec(), replace(spec, tokenizer=_Endless(spec.tokenizer))):
        with pytest.raises(
            UserError, match=r"dataset=answer_hub has answers to write, .*; legal: a decoder whose"
        ):
            choice(config)(other, 0)


class _Endless:
    def __init__(self, tokenizer: Any) -> None:
        self.hash, self.pad_id, self.encode = tokenizer.hash, tokenizer.pad_id, tokenizer.encode
        self.encode_answers, self.decode, self.end_id = tokenizer.encode_answers, tokenizer.decode, None


def test_a_smaller_test_is_a_part_of_it_drawn_by_the_seed(
    spec: TextSpec, text_folder_of: Callable[..., Path]
) -> None:
    root = text_folder_of({"train": [0, 1], "test": [0] * 11}, MORE)  # one class, as nothing says another

    def test(**changes: Any) -> tuple[Any, Dataset]:
        config = composed("dataset=answer_hub")["dataset"] | {"path": str(root), "template": FORM}
        made: Dataset = choice(config | changes)(spec, 0)
        return made.open_test(), made

    whole, plain = test()
    few, made = test(test_max_per_class=4)
    assert len(whole) == 11
    assert few.counts(1).tolist() == [4]
    assert set(few.rows) < set(whole.rows)
    assert "at most 4 a class" in made.note
    assert "a class" not in plain.note
    assert test(test_max_per_class=4)[0].rows.tolist() == few.rows.tolist()
    assert test(test_max_per_class=4, seed=1)[0].rows.tolist() != few.rows.tolist()
    assert set(test(test_max_per_class=3)[0].rows) < set(few.rows), "a smaller draw is part of a larger one"
