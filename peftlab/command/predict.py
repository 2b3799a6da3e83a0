"""The entry point `peftlab-predict`. Imports no torch until its words have passed every check."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from peftlab.command.parser import Parser
from peftlab.dataset.reads import TEXT_FILES, read_by
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.record.finished import finished_run
from peftlab.record.table import table_text
from peftlab.record.whole_file import check_place, write_whole

if TYPE_CHECKING:
    from torch import Tensor

BATCH_SIZE = 32
NUMBERS = ("rank", "class", "probability")
SHOWN = 100  # letters of a text
LEGAL = "legal: an image or a folder of images, a file of texts, or --text TEXT"
WAYS = {
    "images": "an image, or a folder of images",
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


class Answers(NamedTuple):
    """Of each image its file or of each text itself (or both of a pair), with the probabilities of the classes."""

    columns: tuple[str, ...]
    class_names: list[str]
    rows: "Iterator[tuple[tuple[str, ...], Tensor]]"


def main(argv: list[str] | None = None) -> int:
    """Print the most probable classes of each image or text: 0, 2 for a wrong input, or 1 if the disk fails."""
    parser = Parser(prog="peftlab-predict", description="Classes and probabilities of new images or texts.")
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="an image, a folder that is searched for images, or a file of texts: .txt (one a line), .csv, .tsv, .jsonl",
    )
    parser.add_argument("--text", action="append", default=[], help="a text; once for each")
    parser.add_argument(
        "--pair", action="append", default=[], metavar="TEXT", help="the second text of each pair"
    )
    parser.add_argument(
        "--csv", metavar="FILE", help=f"also write a table: file or text, then {', '.join(NUMBERS)}"
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="how many classes of each (default 5)"
    )
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


def _top(number: int) -> int:
    if number < 1:
        raise UserError(f"--top={number} shows no class; legal: a whole number above 0")
    return number


def _table_path(path: str | None) -> Path | None:
    table = None if path is None else expanded(path)
    if table is not None and (table.is_dir() or not table.absolute().parent.is_dir()):
        raise UserError(f"--csv={path} cannot be written; legal: a file in a folder that exists")
    if table is not None:
        check_place(table.parent, "--csv")
    return table


def _answer(folder: Path, asked: Asked, top: int, table: Path | None, trust: list[str]) -> int:
    """Print as the answers come."""
    answers = _of_texts(folder, asked, trust) if asked.noun == "texts" else _of_images(folder, asked, trust)
    names = [plain(str(name)) for name in answers.class_names]
    width = max(len(name) for name in names)
    rows: list[tuple[str | int | float, ...]] = []
    for words, probabilities in answers.rows:
        shown = tuple(map(plain, words))
        values, classes = probabilities.topk(min(top, len(names)))
        print("  |  ".join(_short(text) if asked.noun == "texts" else text for text in shown))
        for rank, (index, value) in enumerate(zip(classes.tolist(), values.tolist(), strict=True), start=1):
            print(f"  {rank:>3}  {names[index]:<{width}}  {value:.4f}")
            rows.append((*shown, rank, names[index], value))
    if not rows:
        raise UserError(f"{asked.path} holds no image that can be read; legal: 8-bit images")
    if table is not None:
        write_whole(table, table_text([(*answers.columns, *NUMBERS), *rows]))
    return 0


def _of_images(folder: Path, asked: Asked, trust: list[str]) -> Answers:
    """A file that cannot be read is a warning on stderr."""
    from peftlab.dataset.source.picture import picture_files
    from peftlab.model.load import read_resolved, read_run
    from peftlab.predict.predict import predict

    _check_noun(asked, read_by(read_resolved(folder, trust=trust).backbone))
    files = picture_files(str(asked.path))
    trained = read_run(folder, trust=trust)
    _check_noun(asked, trained.backbone.input_spec.noun)

    def rows() -> "Iterator[tuple[tuple[str, ...], Tensor]]":
        for answer in predict(trained, files, batch_size=BATCH_SIZE):
            if answer.probabilities is None:
                print(f"peftlab-predict: skipped: {answer.error}", file=sys.stderr)
            else:
                yield (str(answer.file),), answer.probabilities

    return Answers(("file",), trained.card["class_names"], rows())


def _of_texts(folder: Path, asked: Asked, trust: list[str]) -> Answers:
    """What the run was trained on says whether they are pairs, and what the columns of a file are called."""
    from peftlab.dataset.source.loose_texts import columns_of, read_texts
    from peftlab.dataset.text.texts import Columns
    from peftlab.model.load import read_resolved, read_run
    from peftlab.predict.texts import predict_texts

    resolved = read_resolved(folder, trust=trust)
    _check_noun(asked, read_by(resolved.backbone))
    if resolved.task.word == "generate":
        raise UserError(f"{folder} writes answers and says no classes; legal: a run with task=classify")
    text, pair = columns_of(resolved.dataset)
    if asked.path is not None:
        columns = read_texts(asked.path, text, pair)
    elif bool(asked.pairs) != (pair is not None):
        raise UserError(
            f"{folder} reads {'single texts' if pair is None else 'pairs of texts'}; legal:"
            f" {'no --pair' if pair is None else '--pair TEXT for each --text'}"
        )
    else:
        columns = Columns(asked.texts, asked.pairs or None)
    trained = read_run(folder, trust=trust)
    _check_noun(asked, trained.backbone.input_spec.noun)
    said = predict_texts(trained, columns, batch_size=BATCH_SIZE)
    if said.num_cut:
        print(
            f"peftlab-predict: {said.num_cut} of {len(said.probabilities)} texts cut to {said.max_length} tokens",
            file=sys.stderr,
        )
    rows = (columns.words(row) for row in range(len(said.probabilities)))
    names = ("text",) if pair is None else ("text", "pair")
    return Answers(names, trained.card["class_names"], zip(rows, said.probabilities, strict=True))


def _check_noun(asked: Asked, read: str | None) -> None:
    """`read` is what the run's backbone reads, None if that is not known yet."""
    if read is not None and read != asked.noun:
        given = "--text" if asked.path is None else asked.path
        raise UserError(
            f"{given} gives {asked.noun}, and the run reads {read}; legal: {WAYS.get(read, read)}"
        )


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
