"""dataset=... of questions with answers: a source of them, its cuts, and their tokens as one text each."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from peftlab.dataset.answers import Answers, ScoredBy
from peftlab.dataset.cut import Cuts, fewer_test, test_note
from peftlab.dataset.dataset import Dataset, cut_dataset
from peftlab.dataset.items import Contents
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.dataset.text.dataset import cut_note, tokenised, used_length
from peftlab.dataset.text.form import Form
from peftlab.dataset.text.texts import Texts
from peftlab.dataset.text.tokens import shared_tokens
from peftlab.dataset.text.transform import TextTransform
from peftlab.errors import UserError
from peftlab.inputs.text import ANSWERS, TextSpec, Writer
from peftlab.option import BelowOne, Imbalance, NonNegativeInt, PositiveInt, Range


def answer_dataset(
    spec: TextSpec,
    run_seed: int,
    /,
    *,
    name: str,
    source: Callable[[str | None], Source],
    path: str | None,
    imbalance: Imbalance | None,
    max_per_class: PositiveInt | None,
    seed: NonNegativeInt,
    groups: dict[str, Any],
    group_counts_imbalance: Imbalance | None,
    val_fraction: BelowOne | None,
    num_workers: NonNegativeInt,
    template: str,
    max_length: Annotated[int, Range(4, 1000000)] | None,
    max_answer: Annotated[int, Range(2, 1000000)] | None,
    scored_by: ScoredBy,
    group_by_length: bool,
    test_max_per_class: PositiveInt | None,
) -> Dataset:
    """Read a source, cut its long tail (by `seed`), then validation (by `run_seed`), and group the classes.
    Each item is one text: the question in its template, the answer, and the token that ends it.

    Raises:
        UserError: for a value that is not legal, an unreadable source, a network that writes no text, and a question that
            leaves no room for its answer.
    """
    writer, length, form = _writer(spec, name), used_length(spec, max_length), Form(template, max_answer)
    cuts = Cuts(imbalance, max_per_class, seed, groups, group_counts_imbalance, val_fraction, run_seed)
    found = tokenised(source(path), partial(_tokens, writer, length, form))
    transform = answer_transform(spec, length, form)
    both = {"train_transform": transform, "eval_transform": transform}
    tested = fewer_test(_checked(found), test_max_per_class, seed)
    made = cut_dataset(name, tested, cuts, **both, num_workers=num_workers)
    answers = Answers(writer, length, scored_by)
    note = "; ".join(filter(None, (cut_note(made, length), test_note(test_max_per_class))))
    return replace(made, note=note, answers=answers, group_by_length=group_by_length)


def _writer(spec: TextSpec, name: str) -> Writer:
    if not isinstance(spec.tokenizer, Writer) or spec.tokenizer.end_id is None:
        raise UserError(
            f"dataset={name} has answers to write, and this backbone only reads; legal: a decoder whose config.json names the"
            " eos_token_id that ends a text, as backbone=smollm2_135m"
        )
    return spec.tokenizer


def _tokens(writer: Writer, length: int, form: Form, split: Split) -> Split:
    assert isinstance(split.items, Texts)
    tokens = shared_tokens(split.items, writer, length, form)
    silent = split.rows[tokens.num_answered(split.rows) == 0]
    if len(silent):
        raise UserError(
            f"dataset.max_length={length} leaves no token to the answer in {tokens.contents.describe(int(silent[0]))}, whose"
            f" question is as long ({len(silent):,} such rows); legal: more tokens, as far as the backbone takes them, or data"
            " with shorter questions"
        )
    return Split(tokens, split.labels, split.rows)


def _checked(source: Source) -> Source:
    """The same, whose test is asked for room before the training."""
    if source.test_contents is None:
        return source
    return replace(source, test_contents=partial(_contents, source.test_contents, source.open_test))


def _contents(contents: Callable[[], Contents], open_test: Callable[[], Split]) -> Contents:
    """What the test holds. That each question leaves room for its answer is asked now, and not after the training."""
    open_test()
    return contents()


def answer_transform(spec: TextSpec, length: int, form: Form) -> TextTransform:
    """From token ids to what the backbone reads, and which of them are an answer."""
    inputs = (*spec.inputs, ANSWERS)
    most = "" if form.max_answer is None else f", {form.max_answer} of an answer,"
    text = f"{form.template!r}, at most {length} tokens{most} of the tokenizer {spec.tokenizer.hash[:16]} -> {', '.join(inputs)}"
    return TextTransform(inputs, spec.tokenizer.pad_id, text)
