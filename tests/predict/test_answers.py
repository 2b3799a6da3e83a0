"""Answers to questions are those that the run wrote at its test, whatever stands beside them in a batch."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from fixtures.answers import words_of, write_answers

from peftlab.errors import UserError
from peftlab.model.load import Trained, read_run
from peftlab.predict.answers import predict_answers
from peftlab.record.table import table_text

Run = Callable[..., tuple[Trained, list[str], list[str]]]


@pytest.fixture
def run(call: Callable[..., Any], tmp_path: Path) -> Run:
    """A run, the questions of its test, and what it wrote there."""

    def make(*words: str) -> tuple[Trained, list[str], list[str]]:
        folder = write_answers(tmp_path / "sums")
        more = ("fit.epochs=6", "optim.lr=0.02", "task.max_new_tokens=12", "hydra.run.dir=run")
        done = call(*words_of(folder), *more, *words)
        assert done.code == 0, done.err
        with (tmp_path / "run" / "predictions.csv").open(newline="") as file:
            said = [row["said"] for row in csv.DictReader(file)]
        questions = [
            json.loads(line)["question"] for line in (folder / "test.jsonl").read_text().splitlines()
        ]
        return read_run(tmp_path / "run"), [*questions[:3], "7?", *questions[3:]], said

    return make


@pytest.mark.parametrize("words", [
    (),
    ("peft=soft_prompt", "peft.num_tokens=3"),
    ("scaling=gated",),
    ('dataset.template="Q: {question}\\nA:{answer}"', "dataset.max_length=24"),
])  # fmt: skip
def test_they_are_those_of_the_test_together_and_alone(run: Run, words: tuple[str, ...]) -> None:
    trained, questions, wanted = run(*words)
    said = predict_answers(trained, questions, batch_size=3)
    assert [*csv.reader(StringIO(table_text(zip([*said[:3], *said[4:]]))))] == [[one] for one in wanted]
    assert len(set(said)) > 2
    assert max(map(len, said)) > 3
    assert [predict_answers(trained, [one], batch_size=8)[0] for one in questions] == said


def test_a_question_that_leaves_no_room_is_refused(run: Run) -> None:
    trained, questions, _ = run("dataset.max_length=40", "fit.epochs=1")
    room = 40 - len("Question: \nAnswer:")
    assert len(predict_answers(trained, ["1" * (room - 1)], batch_size=2)) == 1
    with pytest.raises(UserError, match=r"'1111.* leaves no token to its answer.* 40 or more"):
        predict_answers(trained, [*questions, "1" * room], batch_size=2)
