"""dataset=... of texts: a source of them, its cuts, and their tokens as the backbone wants them."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from peftlab.dataset.cut import Cuts, fewer_test, test_note
from peftlab.dataset.dataset import Dataset, check_classes, cut_dataset
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.dataset.text.fill import filled
from peftlab.dataset.text.texts import Columns, Texts
from peftlab.dataset.text.tokens import Tokens, ids_of, shared_tokens
from peftlab.dataset.text.transform import TextTransform
from peftlab.errors import UserError
from peftlab.inputs.text import TextSpec
from peftlab.option import BelowOne, Imbalance, NonNegativeInt, PositiveInt, Range


def text_dataset(
    spec: TextSpec,
    run_seed: int,
    /,
    *,
    name: str,
    source: Callable[[str | None], Source],
    path: str | None,
    imbalance: Imbalance | None,
    max_per_class: PositiveInt | None,
    test_max_per_class: PositiveInt | None,
    seed: NonNegativeInt,
    groups: dict[str, Any],
    group_counts_imbalance: Imbalance | None,
    val_fraction: BelowOne | None,
    num_workers: NonNegativeInt,
    max_length: Annotated[int, Range(4, 1000000)] | None,
    fill_test: PositiveInt | None,
    group_by_length: bool,
) -> Dataset:
    """Read a source, cut its long tail (by `seed`), then validation (by `run_seed`), and group the classes.

    `fill_test` puts training texts that the long tail leaves out into the test, up to so many a class. With `group_by_length`
    texts of like length share a batch of training: the same batches for a seed and a tokenizer, whatever the method.

    Raises:
        UserError: for a value that is not legal or would have no effect, and for an unreadable source.
    """
    length = used_length(spec, max_length)
    cuts = Cuts(imbalance, max_per_class, seed, groups, group_counts_imbalance, val_fraction, run_seed)
    found = source(path) if fill_test is None else filled(source(path), cuts, fill_test)
    check_classes(found.class_names)
    transform = used_transform(spec, length)
    both = {"train_transform": transform, "eval_transform": transform}
    tokens = tokenised(fewer_test(found, test_max_per_class, seed), partial(_tokens, spec, length))
    made = cut_dataset(name, tokens, cuts, **both, num_workers=num_workers)
    note = "; ".join(filter(None, (cut_note(made, length), test_note(test_max_per_class))))
    return replace(made, note=note, group_by_length=group_by_length)


def used_length(spec: TextSpec, max_length: int | None) -> int:
    """How many tokens of a text are read.

    Raises:
        UserError: for more than the backbone takes.
    """
    if max_length is not None and max_length > spec.max_length:
        raise UserError(
            f"dataset.max_length={max_length} is more than the {spec.max_length} tokens that the backbone takes; legal: at most"
            " as many, or null"
        )
    return spec.max_length if max_length is None else max_length


def tokenised(source: Source, tokens: Callable[[Split], Split]) -> Source:
    """The same with tokens as items."""
    return replace(
        source,
        train=tokens(source.train),
        val=None if source.val is None else tokens(source.val),
        open_test=partial(_opened, tokens, source.open_test),
    )


def _tokens(spec: TextSpec, length: int, split: Split) -> Split:
    assert isinstance(split.items, Texts)
    return Split(shared_tokens(split.items, spec.tokenizer, length), split.labels, split.rows)


def _opened(tokens: Callable[[Split], Split], open_test: Callable[[], Split]) -> Split:
    return tokens(open_test())


def used_transform(spec: TextSpec, length: int) -> TextTransform:
    """From token ids to what the backbone reads."""
    text = f"at most {length} tokens of the tokenizer {spec.tokenizer.hash[:16]} -> {', '.join(spec.inputs)}"
    return TextTransform(spec.inputs, spec.tokenizer.pad_id, text)


def inputs_of(spec: TextSpec, max_length: int | None, columns: Columns) -> dict[str, Int64[Tensor, "b t"]]:
    """Texts of no split as the run would read them, all in one batch."""
    length = used_length(spec, max_length)
    found = spec.tokenizer.encode(columns.first, columns.second, length)
    return used_transform(spec, length)([ids_of(one) for one in found])


def cut_note(dataset: Dataset, length: int) -> str:
    """For people: how many of the items that are trained and validated on lose tokens, and how many."""
    splits = [split for split in (dataset.train, dataset.val) if split is not None]
    cut = [split.items.cut(split.rows) for split in splits if isinstance(split.items, Tokens)]
    lost = np.concatenate(cut)
    lost = lost[lost > 0]
    if not len(lost):
        return f"none is longer than {length} tokens"
    return (
        f"{len(lost):,} of {sum(map(len, splits)):,} cut to {length} tokens, which lose {int(np.median(lost)):,} (median) to"
        f" {lost.max():,}"
    )
