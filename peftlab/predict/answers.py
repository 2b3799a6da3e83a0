"""Answers to questions, as a run of task=generate writes them."""

from typing import Any

import torch

from peftlab.dataset.answers import Answers
from peftlab.dataset.text.answers import answer_transform
from peftlab.dataset.text.dataset import used_length
from peftlab.dataset.text.form import Form
from peftlab.dataset.text.tokens import ids_of
from peftlab.errors import UserError
from peftlab.model.load import Trained
from peftlab.predict.texts import by_length
from peftlab.task.task import Forward
from peftlab.task.written import words_of, written


def predict_answers(trained: Trained, questions: list[str], *, batch_size: int) -> list[str]:
    """The answer to every question in order: its prompt, its stop and greedy decoding are those of the run's test, in fp32; on a
    GPU if there is one.

    Raises:
        UserError: for a question that leaves no token to its answer.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, options = trained.model.to(device).eval(), trained.resolved.dataset.options
    spec: Any = trained.backbone.input_spec
    length, form = used_length(spec, options["max_length"]), Form(options["template"], options["max_answer"])
    prompts = [form.prompt(question) for question in questions]
    found = spec.tokenizer.encode_answers(prompts, [""] * len(prompts), length, None)
    for question, one in zip(questions, found, strict=True):
        if not any(one.types):
            raise UserError(
                f"the question {question!r:.60} leaves no token to its answer: with its prompt it has {length} or more, and the run"
                " reads no more; legal: a shorter question"
            )
    transform = answer_transform(spec, length, form)
    answers = Answers(spec.tokenizer, length, options["scored_by"])
    features, new_cache = model.network.reader(model.cell, model.widths)
    forward = Forward(features, model.cell.head, new_cache)
    max_new = trained.resolved.task.options["max_new_tokens"]
    said: dict[int, str] = {}
    for rows in by_length([len(one.ids) for one in found], batch_size):
        inputs = transform([ids_of(found[row]) for row in rows])
        ids = written(forward, answers, max_new, {name: value.to(device) for name, value in inputs.items()})
        said |= dict(zip(rows, words_of(ids, answers), strict=True))
    return [said[row] for row in range(len(found))]
