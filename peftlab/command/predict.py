"""The entry point `peftlab-predict`. Imports no torch until its words have passed every check."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from peftlab.command.parser import Parser
from peftlab.dataset.reads import TEXT_FILES, given_by, read_by
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.record.finished import finished_run
from peftlab.record.table import table_text
from peftlab.record.whole_file import check_place, write_whole

if TYPE_CHECKING:
    from torch import Tensor

    from peftlab.config.resolved import Resolved
    from peftlab.dataset.text.texts import Columns
    from peftlab.model.load import Trained

BATCH_SIZE = 32
NUMBERS = ("rank", "class", "probability")
SAID = "said"  # as in predictions.csv
TOP = 5
SHOWN = 100  # letters of a text
LEGAL = "legal: an image or a folder of images, a file of texts, or --text TEXT"
WAYS = {
    "images": "an image, or a folder of images",
    "clips": "peftlab.load(RUN)(clips=TENSOR) in Python, which takes [b, t, 3, h, w]",
    "texts": f"--text TEXT, or a file of texts that ends in {' '.join(TEXT_FILES)}",
}


class Asked(NamedTuple):
    """What is to be predicted: the path of images or of a file of texts, or texts and the second one of each."""

    path: str | None
    texts: list[str]
    pairs: list[str]

    @property
    def noun(self) -> str:
        """`images` or `texts`."""
        return "texts" if self.path is None or self.path.lower().endswith(TEXT_FILES) else "images"


class Line(NamedTuple):
    """What is printed of an answer, and its row of the table."""

    shown: str
    values: tuple[str | int | float, ...]


class Answers(NamedTuple):
    """Of each image its file or of each text itself (or both of a pair), with what the run says of it; `columns` are all of the
    table."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[tuple[str, ...], list[Line]]]


def main(argv: list[str] | None = None) -> int:
    """Print the most probable classes of each image or text, or the answer to each question: 0, 2 for a wrong input, or 1 if the
    disk fails."""
    parser = Parser(
        prog="peftlab-predict",
        description="Classes and probabilities of new images or texts; answers to new questions, of a run with task=generate.",
    )
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="an image, a folder that is searched for images, or a file of texts: .txt (one a line), .csv, .tsv, .jsonl",
    )
    parser.add_argument("--text", action="append", default=[], help="a text or question; once for each")
    parser.add_argument(
        "--pair", action="append", default=[], metavar="TEXT", help="the second text of each pair"
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help=f"also write a table: file or text, then {', '.join(NUMBERS)}; or question, {SAID}",
    )
    parser.add_argument("--top", type=int, metavar="N", help=f"how many classes of each (default {TOP})")
    parser.add_trust()
    words = parser.parse_args(argv)
    with parser.answers(Path(words.csv or words.run)):
        folder, top, table = finished_run(words.run), _top(words.top), _table_path(words.csv)
        return _answer(folder, _asked(words), top, table, words.trust)


def _asked(words: Namespace) -> Asked:
    if (words.path is None) == (not words.text):
        raise UserError(f"{'both PATH and --text are' if words.text else 'nothing is'} given; {LEGAL}")
    if words.pair and len(words.pair) != len(words.text):
        raise UserError(
            f"--pair is given {len(words.pair)} times for {len(words.text)} of --text; legal: once for each --text"
        )
    for option in ("text", "pair"):
        if not all(map(str.strip, getattr(words, option))):
            raise UserError(f"--{option} is empty; legal: a text")
    return Asked(words.path, words.text, words.pair)


def _top(number: int | None) -> int | None:
    if number is not None and number < 1:
        raise UserError(f"--top={number} shows no class; legal: a whole number above 0")
    return number


def _table_path(path: str | None) -> Path | None:
    table = None if path is None else expanded(path)
    if table is not None and (table.is_dir() or not table.absolute().parent.is_dir()):
        raise UserError(f"--csv={path} cannot be written; legal: a file in a folder that exists")
    if table is not None:
        check_place(table.parent, "--csv")
    return table


def _answer(folder: Path, asked: Asked, top: int | None, table: Path | None, trust: list[str]) -> int:
    """Print as the answers come."""
    of = _of_texts if asked.noun == "texts" else _of_images
    answers = of(folder, asked, top, trust)
    rows: list[tuple[str | int | float, ...]] = []
    for words, lines in answers.rows:
        shown = tuple(map(plain, words))
        print("  |  ".join(_short(text) if asked.noun == "texts" else text for text in shown))
        for line in lines:
            print(f"  {line.shown}")
            rows.append((*shown, *line.values))
    if not rows:
        raise UserError(f"{asked.path} holds no image that can be read; legal: 8-bit images")
    if table is not None:
        write_whole(table, table_text([answers.columns, *rows]))
    return 0


def _ranking(class_names: list[str], top: int | None) -> "Callable[[Tensor], list[Line]]":
    """From probabilities to the most probable classes."""
    names = [plain(str(name)) for name in class_names]
    width, number = max(map(len, names)), min(top or TOP, len(names))

    def lines(probabilities: "Tensor") -> list[Line]:
        values, classes = (each.tolist() for each in probabilities.topk(number))
        return [
            Line(f"{rank:>3}  {names[index]:<{width}}  {value:.4f}", (rank, names[index], value))
            for rank, (index, value) in enumerate(zip(classes, values, strict=True), start=1)
        ]

    return lines


def _of_images(folder: Path, asked: Asked, top: int | None, trust: list[str]) -> Answers:
    """A file that cannot be read is a warning on stderr."""
    from peftlab.dataset.source.picture import picture_files
    from peftlab.model.load import read_resolved, read_run
    from peftlab.predict.predict import predict

    resolved = read_resolved(folder, trust=trust)
    is_of_clips = given_by(resolved.dataset) == "clips"
    _check_noun(asked, "clips" if is_of_clips else read_by(resolved.backbone))
    files = picture_files(str(asked.path))
    trained = read_run(folder, trust=trust)
    _check_noun(asked, trained.backbone.input_spec.noun)

    lines = _ranking(trained.card["class_names"], top)

    def rows() -> Iterator[tuple[tuple[str, ...], list[Line]]]:
        for answer in predict(trained, files, batch_size=BATCH_SIZE):
            if answer.probabilities is None:
                print(f"peftlab-predict: skipped: {answer.error}", file=sys.stderr)
            else:
                yield (str(answer.file),), lines(answer.probabilities)

    return Answers(("file", *NUMBERS), rows())


def _of_texts(folder: Path, asked: Asked, top: int | None, trust: list[str]) -> Answers:
    """Classes, or the answers of a run that writes some."""
    from peftlab.model.load import read_resolved, read_run

    resolved = read_resolved(folder, trust=trust)
    _check_noun(asked, read_by(resolved.backbone))
    writes = resolved.task.word == "generate"
    if writes and top is not None:
        raise UserError(f"--top={top} shows classes, and {folder} writes answers; legal: no --top")
    columns = _columns(folder, asked, resolved)
    trained = read_run(folder, trust=trust)
    _check_noun(asked, trained.backbone.input_spec.noun)
    return _said(trained, columns) if writes else _classes(trained, columns, top)


def _columns(folder: Path, asked: Asked, resolved: "Resolved") -> "Columns":
    """What the run was trained on says whether they are pairs, and what the columns of a file are called."""
    from peftlab.dataset.source.loose_texts import columns_of, read_texts
    from peftlab.dataset.text.texts import Columns

    text, pair = columns_of(resolved.dataset)
    if asked.path is not None:
        return read_texts(asked.path, text, pair)
    if bool(asked.pairs) != (pair is not None):
        raise UserError(
            f"{folder} reads {'single texts' if pair is None else 'pairs of texts'}; legal:"
            f" {'no --pair' if pair is None else '--pair TEXT for each --text'}"
        )
    return Columns(asked.texts, asked.pairs or None)


def _said(trained: "Trained", columns: "Columns") -> Answers:
    from peftlab.predict.answers import predict_answers

    said = predict_answers(trained, columns.first, batch_size=BATCH_SIZE)
    rows = (
        ((question,), [Line("\n  ".join(map(plain, answer.splitlines())), (answer,))])
        for question, answer in zip(columns.first, said, strict=True)
    )
    return Answers(("question", SAID), rows)


def _classes(trained: "Trained", columns: "Columns", top: int | None) -> Answers:
    from peftlab.predict.texts import predict_texts

    said = predict_texts(trained, columns, batch_size=BATCH_SIZE)
    if said.num_cut:
        print(
            f"peftlab-predict: {said.num_cut} of {len(said.probabilities)} texts cut to {said.max_length} tokens",
            file=sys.stderr,
        )
    lines = _ranking(trained.card["class_names"], top)
    rows = ((columns.words(row), lines(own)) for row, own in enumerate(said.probabilities))
    names = ("text",) if columns.second is None else ("text", "pair")
    return Answers((*names, *NUMBERS), rows)


def _check_noun(asked: Asked, read: str | None) -> None:
    """`read` is what the run's backbone reads, None if that is not known yet."""
    if read is not None and read != asked.noun:
        given = "--text" if asked.path is None else asked.path
        raise UserError(
            f"{given} gives {asked.noun}, and the run reads {read}; legal: {WAYS.get(read, read)}"
        )


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
