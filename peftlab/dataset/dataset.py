"""What a run needs of its data, whatever the data are: splits cut from a source, class groups, transforms, a hash."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from peftlab.dataset.answers import Answers
from peftlab.dataset.base_new import NewClasses
from peftlab.dataset.batches import Draws, GroupedBatches, TrainBatches
from peftlab.dataset.cut import Cuts, group_counts, tail_cut, validation_cut
from peftlab.dataset.group import group_classes
from peftlab.dataset.items import Contents, Transform
from peftlab.dataset.source.source import Source
from peftlab.dataset.split import Split
from peftlab.errors import UserError


@dataclass(frozen=True, eq=False)
class Dataset:
    """`counts` are training items per class after all cuts; `class_words` is what each class is called in texts.

    `groups` (head, medium, tail) come from the counts of the long tail, before the validation cut. No test
    item is decoded, and no label of one seen, before `open_test()`; `test_contents` tells which of them are in another split,
    too, and `ignored` what lies beside the items. `index` holds the row ids of train and val, `index_hash` is a sha256 over
    them and the source's content. `note` is what else people should know, in one line. `answers` is there if the items are
    questions with answers; then classes are kinds of questions. `group_by_length`: items of like length share a batch of training.
    `views`: validation and test see several views of each item. `open_new()` is there where training is on base classes: it opens
    the test split of the new ones, and is locked as `open_test()` is; `test_contents` are of both. `templates` are sentences
    with "{}" for the words of a class.
    """

    name: str
    class_names: list[str]
    class_words: list[str]
    train: Split
    val: Split | None
    open_test: Callable[[], Split]
    counts: Int64[np.ndarray, " c"]
    groups: dict[str, list[int]]
    index_hash: str
    index: dict[str, list[int]]
    train_transform: Transform
    eval_transform: Transform
    num_workers: int
    ignored: Counter[str]
    test_contents: Callable[[], Contents] | None
    note: str = ""
    answers: Answers | None = None
    group_by_length: bool = False
    views: Transform | None = None
    open_new: Callable[[], NewClasses] | None = None
    templates: tuple[str, ...] = ()

    def train_batches(
        self, split: Split, *, batch_size: int, draws: Draws, num_workers: int = 0
    ) -> TrainBatches:
        """Endless batches of a split of this data, transformed as in training."""
        kind = GroupedBatches if self.group_by_length else TrainBatches
        return kind(split, self.train_transform, batch_size=batch_size, draws=draws, num_workers=num_workers)

    @property
    def tested_transform(self) -> Transform:
        """What is done to an item of validation or test."""
        return self.eval_transform if self.views is None else self.views

    @property
    def noun(self) -> str:
        """What people call its items: images, texts."""
        return self.train.items.noun

    @property
    def transform_text(self) -> str:
        """What is done to an item in training and in evaluation, in one line."""
        return f"train: {self.train_transform.text}; eval: {self.tested_transform.text}"


def cut_dataset(
    name: str,
    source: Source,
    cuts: Cuts,
    *,
    train_transform: Transform,
    eval_transform: Transform,
    num_workers: int,
) -> Dataset:
    """Cut the long tail, then validation, and group the classes: the same for every kind of data.

    Raises:
        UserError: for a value that is not legal or would have no effect.
    """
    _check_names(source.class_names)
    tail = tail_cut(source, cuts)
    counts = group_counts(source, tail, cuts)
    train, val = validation_cut(source, tail, cuts)
    return Dataset(
        name=name,
        class_names=source.class_names,
        class_words=source.class_words,
        train=train,
        val=val,
        open_test=source.open_test,
        counts=train.counts(len(source.class_names)),
        groups=group_classes(cuts.groups, source.class_names, counts),
        index_hash=_index_hash(train, val),
        index={"train": train.rows.tolist(), "val": [] if val is None else val.rows.tolist()},
        train_transform=train_transform,
        eval_transform=eval_transform,
        num_workers=num_workers,
        ignored=source.ignored,
        test_contents=source.test_contents,
    )


def check_classes(names: list[str]) -> None:
    """Raises: UserError for less than two classes, of data that are to be told apart."""
    if len(names) < 2:
        raise UserError(
            f"dataset {', '.join(names) or '(no class)'} is less than two classes, so there is nothing to tell apart; legal:"
            " two classes or more"
        )


def _check_names(names: list[str]) -> None:
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise UserError(f"dataset has two classes of the name {twice[0]}; legal: a name of its own for each")


def _index_hash(train: Split, val: Split | None) -> str:
    text = train.index_hash() + ("" if val is None else val.index_hash())
    return hashlib.sha256(text.encode()).hexdigest()
