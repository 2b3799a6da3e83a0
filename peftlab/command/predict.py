"""The entry point `peftlab-predict`. Imports no torch until its words have passed every check."""

import sys
from pathlib import Path

from peftlab.command.parser import Parser
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.record.finished import finished_run
from peftlab.record.table import table_text
from peftlab.record.whole_file import check_place, write_whole

BATCH_SIZE = 32
COLUMNS = ("file", "rank", "class", "probability")
Row = tuple[str, int, str, float]


def main(argv: list[str] | None = None) -> int:
    """Print the most probable classes of each image: 0, 2 for a wrong input, or 1 if the disk fails."""
    parser = Parser(prog="peftlab-predict", description="Classes and probabilities of new images.")
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument(
        "images", metavar="IMAGE_OR_FOLDER", help="an image, or a folder that is searched for images"
    )
    parser.add_argument(
        "--csv", metavar="FILE", help=f"also write a table with the columns {', '.join(COLUMNS)}"
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="how many classes of each image (default 5)"
    )
    parser.add_trust()
    words = parser.parse_args(argv)
    with parser.answers(Path(words.csv or words.run)):
        folder, top, table = finished_run(words.run), _top(words.top), _table_path(words.csv)
        rows = _answer(folder, words.images, top, table, words.trust)
    return 0 if rows else 1


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


def _answer(folder: Path, images: str, top: int, table: Path | None, trust: list[str]) -> list[Row]:
    """Print as the answers come; a file that cannot be read is a warning on stderr."""
    from peftlab.dataset.source.picture import picture_files
    from peftlab.model.load import read_run
    from peftlab.predict.predict import predict

    files = picture_files(images)
    trained = read_run(folder, trust=trust)
    names = [plain(str(name)) for name in trained.card["class_names"]]
    width = max(len(name) for name in names)
    rows: list[Row] = []
    for answer in predict(trained, files, batch_size=BATCH_SIZE):
        if answer.probabilities is None:
            print(f"peftlab-predict: skipped: {answer.error}", file=sys.stderr)
            continue
        values, classes = answer.probabilities.topk(min(top, len(names)))
        own = [
            (plain(str(answer.file)), rank, names[index], value)
            for rank, (index, value) in enumerate(
                zip(classes.tolist(), values.tolist(), strict=True), start=1
            )
        ]
        print(plain(str(answer.file)))
        for _, rank, name, value in own:
            print(f"  {rank:>3}  {name:<{width}}  {value:.4f}")
        rows += own
    if not rows:
        raise UserError(f"{images} holds no image that can be read; legal: 8-bit images")
    if table is not None:
        write_whole(table, table_text([COLUMNS, *rows]))
    return rows
