"""Questions with answers: a data set of the Hugging Face hub, or a local folder of the same layout."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from peftlab.dataset.items import Contents
from peftlab.dataset.source.source import Source
from peftlab.dataset.source.table import check_labels, class_names
from peftlab.dataset.source.tables import Splits, find_tables
from peftlab.dataset.source.text_hub import describe, texts_of
from peftlab.dataset.split import Split
from peftlab.dataset.text.kinds import Kind, kind_names, kinds_of
from peftlab.dataset.text.texts import Columns, text_contents, text_split
from peftlab.errors import UserError


class _Reader(NamedTuple):
    """The columns of a set, and its class names: those of `label`, or of `kind` where there is no such column."""

    question: str
    answer: str
    label: str | None
    kind: Kind | None
    names: list[str]

    def split(self, split: str, table: Callable[[], pa.Table]) -> Split:
        """All rows of a split."""
        found = table()
        columns = self._columns(found, split)
        if self.label is None:
            labels = kinds_of(self.kind, columns)
        else:
            labels = check_labels(found, self.names, label_column=self.label, split=split)
        return text_split(self.names, labels, columns, partial(describe, split))

    def contents(self, split: str, table: Callable[[], pa.Table]) -> Contents:
        """The questions alone; a row that has no answer is told now, and not after the training."""
        found = table()
        if self.label is not None:
            check_labels(found, self.names, label_column=self.label, split=split)
        return text_contents(self._columns(found, split), partial(describe, split))

    def _columns(self, table: pa.Table, split: str) -> Columns:
        questions = texts_of(table, "question_column", self.question, split)
        return Columns(questions, None, texts_of(table, "answer_column", self.answer, split))


def answer_hub(
    path: str | None,
    *,
    hub_id: str | None,
    folder: str | None,
    config_name: str | None,
    train_split: str,
    val_split: str | None,
    test_split: str,
    question_column: str,
    answer_column: str,
    label_column: str | None,
    kind: Kind | None,
) -> Source:
    """`path` (a folder or a hub id) if given, else `$PEFTLAB_DATA/<folder>` if it exists, else `hub_id`.

    The class of a question stands in `label_column`. Without one it is its `kind`: how many operations the equation of its
    answer has, how many steps (lines) its answer has, how many attributes it names, or one for all.

    Raises:
        UserError: for a set that is in none of these places, for a split or column that it does not have, and for a kind
            beside a column.
    """
    tables, _ = find_tables(path, hub_id, folder, config_name)
    Splits(train_split, val_split, test_split).check(tables)
    if label_column is not None and kind is not None:
        raise UserError(
            f"dataset.source.kind={kind} and label_column={label_column} both say the classes; legal: one of them, with"
            " kind=null or label_column=null"
        )
    table = tables[train_split]()
    names = kind_names(kind) if label_column is None else class_names(table, label_column=label_column)
    reader = _Reader(question_column, answer_column, label_column, kind, names)
    return Source(
        names,
        reader.split(train_split, lambda: table),
        None if val_split is None else reader.split(val_split, tables[val_split]),
        partial(reader.split, test_split, tables[test_split]),
        test_contents=partial(reader.contents, test_split, tables[test_split]),
    )
