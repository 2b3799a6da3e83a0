"""task=generate: its loss is that of Hugging Face, its head is the network's, and what it writes is what it is scored by."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.answers import words_of, write_answers
from fixtures.text import ENCODER_DECODERS, whole

from peftlab.build.experiment import Experiment, build
from peftlab.config.resolve import resolve
from peftlab.inputs.text import TOKENS_AT_ONCE
from peftlab.task.generate import NUM_COUNTED, Generate
from peftlab.task.task import Forward

CPU = torch.device("cpu")
Build = Callable[..., Experiment]


@pytest.fixture
def built(composed: Callable[..., Any], tmp_path: Path) -> Build:
    folder = write_answers(tmp_path / "sums")
    return lambda *words: build(resolve(composed(*words_of(folder), *words)))


def batch_of(experiment: Experiment) -> Any:
    return experiment.learner.batches.batch(0)  # type: ignore[attr-defined]


def test_the_loss_is_that_of_hugging_face(built: Build) -> None:
    """transformers' own network with the same weights and labels of -100 outside the answers."""
    from transformers import LlamaForCausalLM

    experiment = built()
    backbone, batch = experiment.trunk.backbone, batch_of(experiment)
    theirs = LlamaForCausalLM(backbone.model.config).eval()
    state = {key: value for key, value in backbone.model.state_dict().items() if "unembedding" not in key}
    theirs.model.load_state_dict(state)
    theirs.lm_head.weight = torch.nn.Parameter(backbone.unembedding.weight)  # type: ignore[union-attr]
    given = {key: batch.inputs[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        wanted = theirs(**given, labels=batch.targets).loss
        (scores,) = experiment.network.outputs([experiment.cell], batch.inputs)
        ours = experiment.learner.loss(scores, batch.targets)
    torch.testing.assert_close(ours, wanted)
    assert scores.shape == (experiment.learner.weight(batch), backbone.unembedding.weight.shape[0])  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_the_loss_behind_an_encoder_is_that_of_hugging_face(
    composed: Callable[..., Any], model_folder: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    """The encoder reads the questions, and labels are the answers, with -100 behind them."""
    model = model_folder(kind, "model." if kind == "bart" else "")
    experiment = build(resolve(composed(*words_of(write_answers(tmp_path / "sums"), model))))
    batch = batch_of(experiment)
    ids, answers = batch.inputs["input_ids"], batch.inputs["answer_mask"]
    present = batch.inputs["attention_mask"]
    asked, said = (
        [own[(mask == 1) & (marks == value)] for own, mask, marks in zip(ids, present, answers, strict=True)]
        for value in (0, 1)
    )
    assert len({len(own) for own in asked}) > 1
    labels = torch.nn.utils.rnn.pad_sequence(said, batch_first=True, padding_value=-100)
    questions = torch.nn.utils.rnn.pad_sequence(asked, batch_first=True)
    seen = torch.nn.utils.rnn.pad_sequence([torch.ones_like(own) for own in asked], batch_first=True)
    with torch.no_grad():
        wanted = whole(experiment.trunk.backbone)(
            input_ids=questions, attention_mask=seen, labels=labels
        ).loss
        (scores,) = experiment.network.outputs([experiment.cell], batch.inputs)
        ours = experiment.learner.loss(scores, batch.targets)
    torch.testing.assert_close(ours, wanted)


def test_accumulated_gradients_are_those_of_the_whole_batch(built: Build) -> None:
    """Batches of other numbers of tokens: each counts as many as it has."""
    from peftlab.fit.fit import fit

    states = []
    for words in (("fit.batch_size=24",), ("fit.batch_size=6", "fit.accumulate=4")):
        experiment = built(*words, "fit.clip_norm=null", "optim=sgd", "optim.lr=0.5")
        list(fit(experiment.resolved.fit, experiment.network, [experiment.learner], start=0))
        states.append(experiment.cell.state())
    assert any(not torch.equal(value, torch.zeros_like(value)) for value in states[0].values())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-4, atol=1e-6)


def test_nothing_of_the_head_is_trained_or_saved(built: Build) -> None:
    cell = built().cell
    assert cell.num_parameters()["head"] == 0
    assert not any("head" in name for name in (*cell.state(), *cell.theta()))


@pytest.mark.parametrize("decode", ["test", "never", "always"])
def test_answers_are_written_when_they_are_asked_for(built: Build, decode: str) -> None:
    experiment = built(f"task.decode={decode}")
    inputs = batch_of(experiment).inputs
    columns = {kind: experiment.outputs(is_test=kind == "test")(inputs).shape[1] for kind in ("val", "test")}
    more = {"test": (0, 5), "never": (0, 0), "always": (5, 5)}[decode]
    assert (columns["val"] - NUM_COUNTED, columns["test"] - NUM_COUNTED) == more
    task = experiment.task
    assert isinstance(task, Generate)
    assert task.headline[0] == ("token_acc" if decode == "never" else "mean_acc")


def test_texts_that_are_read_a_few_at_once_have_the_same_likelihoods(
    built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = built("task.decode=never")
    batches = experiment.trunk.batches(experiment.trunk.dataset.train)
    batch, *_ = batches
    outputs, seen = experiment.task.outputs, list[int]()

    def features(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(len(inputs["input_ids"]))
        return experiment.trunk.backbone.features(inputs)

    head = experiment.trunk.backbone.unembedding
    assert head is not None
    read = outputs(Forward(features, head), is_test=False)
    with torch.no_grad():
        whole = read(batch.inputs)
        monkeypatch.setitem(TOKENS_AT_ONCE, "cpu", 3 * batch.inputs["input_ids"].shape[1])
        parts = read(batch.inputs)
    torch.testing.assert_close(parts, whole)
    assert seen[0] == len(whole)
    assert seen[1:] == [3] * (len(whole) // 3) + [len(whole) % 3] * (len(whole) % 3 > 0)


@pytest.mark.parametrize(("by", "names"), [
    ("number", ("mean_acc", "log_likelihood", "head_acc", "medium_acc", "tail_acc")),
    ("equation", ("mean_acc", "value_mean_acc", "log_likelihood", "head_acc", "medium_acc", "tail_acc")),
    ("text", ("bleu", "rouge_l", "log_likelihood")),
])  # fmt: skip
def test_what_is_scored_is_in_the_headline_and_in_the_numbers(
    built: Build, by: str, names: tuple[str, ...]
) -> None:
    experiment = built(f"dataset.scored_by={by}")
    task, split = experiment.task, experiment.trunk.dataset.open_test()
    assert task.headline == names
    frozen = experiment.frozen(split)
    assert frozen is not None
    own, other, gain = experiment.compare(
        experiment.outputs(is_test=True), frozen, experiment.trunk.batches(split)
    )
    assert {*names, task.primary} <= task.metrics(own).keys()
    # the cell is as it starts: the frozen network
    assert task.metrics(own) == pytest.approx(task.metrics(other), nan_ok=True)
    assert gain[names[0]] == gain[task.primary] == 0
    assert all(value == 0 or math.isnan(value) for value in gain.values())
    head, *rows = task.answers(own, split)
    assert [row[0] for row in rows] == split.rows.tolist()
    assert head[-1] == "said"
    (table,) = task.tables(own).values()
    assert [row[0] for row in table] == ["class", "few", "many"]


def test_a_network_that_knows_the_answers_is_right(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it writes is put in the place of the decoder's tokens: the scores follow."""
    experiment = built()
    task, split = experiment.task, experiment.trunk.dataset.open_test()
    answers = experiment.trunk.dataset.answers
    assert answers is not None
    width = 40

    def outputs(inputs: dict[str, Any]) -> Any:
        rows = torch.full((len(inputs["input_ids"]), NUM_COUNTED + width), -1.0)
        rows[:, :NUM_COUNTED] = torch.tensor([1.0, 2.0, 1.0])
        for row, (ids, mask) in enumerate(zip(inputs["input_ids"], inputs["answer_mask"], strict=True)):
            said = ids[mask == 1][:-1]  # without its end
            rows[row, NUM_COUNTED : NUM_COUNTED + len(said)] = said.float()
        return rows

    counted = task.evaluate(outputs, experiment.trunk.batches(split), CPU, nullcontext)
    metrics = task.metrics(counted)
    assert (metrics["mean_acc"], metrics["value_mean_acc"], metrics["token_acc"]) == (1.0, 1.0, 0.5)
    assert counted.texts == [answer for _, answer in split.items.texts(split.rows)]  # type: ignore[attr-defined]
