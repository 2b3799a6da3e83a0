"""Questions with answers of one's own: a .csv, .tsv or .jsonl file, or a folder of them, one for each split."""

from peftlab.dataset.source.source import Source
from peftlab.dataset.source.text_file import Named
from peftlab.dataset.source.text_folder import folder_source
from peftlab.option import Fraction


def answer_folder(
    path: str | None,
    *,
    question_column: str,
    answer_column: str,
    label_column: str | None,
    test_fraction: Fraction,
) -> Source:
    """`path/train.csv` and `path/test.csv` (and `val`, `valid` or `validation`), or one file; see `text_folder`.

    Without a `label_column` all are of one class.

    Raises:
        UserError: for what is missing or cannot be read, columns that a file lacks, splits of different classes.
    """
    return folder_source(path, Named(question_column, None, label_column, answer_column), test_fraction)
