"""The entry point `peftlab-forgetting`. Imports no torch until its words have passed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from peftlab.command.data import checked, named
from peftlab.command.parser import Parser
from peftlab.config.resolve import choice
from peftlab.errors import UserError
from peftlab.inputs.path import expanded
from peftlab.inputs.plain import plain
from peftlab.record.finished import finished_run
from peftlab.record.table import table_text
from peftlab.record.whole_file import check_place, write_whole
from peftlab.report.runs.row import find

COLUMNS = ("run", "before", "after", "refitted", "forgotten")


class Found(NamedTuple):
    """A finished run, and what the table calls it."""

    name: str
    folder: Path


def main(argv: list[str] | None = None) -> int:
    """What each run lost of other classes: 0, 2 for a wrong input, or 1 if the disk fails."""
    parser = Parser(
        prog="peftlab-forgetting",
        description="Accuracy of a linear probe of other classes on the features before and after adaptation, in %%: before, the same"
        " probe after, a probe fitted anew, and before less after.",
    )
    parser.add_argument("run", nargs="+", metavar="FOLDER", help="finished runs, or folders of them")
    parser.add_argument(
        "--source",
        nargs="+",
        required=True,
        metavar="WORD",
        help="a choice of the group dataset, and KEY=VALUE as for peftlab: tiny_imagenet_32 dataset.max_per_class=50",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a table, of shares of 1")
    parser.add_trust()
    words = parser.parse_args(argv)
    with parser.answers(words.csv or Path.cwd()):
        if words.csv is not None:
            check_place(words.csv, "--csv")
        config = checked(named(words.source))
        rows = _measured(_finished(words.run), config, words.trust)
        if words.csv is not None:
            words.csv.parent.mkdir(parents=True, exist_ok=True)
            write_whole(words.csv, table_text([COLUMNS, *rows]))
    return 0


def _finished(paths: Sequence[str]) -> list[Found]:
    """All that came to their end.

    Raises:
        UserError: for a path without any.
    """
    result = []
    for path in paths:
        folder = expanded(path)
        below = list(find(folder)) if folder.is_dir() else []
        if below in ([], [folder]):
            result.append(Found(folder.name, finished_run(path)))
            continue
        own = []
        for run in below:
            try:
                own.append(Found(run.relative_to(folder).as_posix(), finished_run(str(run))))
            except UserError as error:
                print(f"peftlab-forgetting: left out: {plain(str(error))}", file=sys.stderr)
        if not own:
            raise UserError(f"{path} holds no finished run with its model")
        result += own
    return result


def _measured(runs: Sequence[Found], config: dict[str, Any], trust: list[str]) -> list[tuple[str, ...]]:
    """Printed as they come."""
    from peftlab.model.load import read_run
    from peftlab.predict.forgetting import Forgetting

    forgetting, rows = Forgetting(choice(config["dataset"])), []
    width = max(len(run.name) for run in runs)
    print(f"{COLUMNS[0]:<{width}}", *(f"{name:>9}" for name in COLUMNS[1:]))
    for run in runs:
        found = forgetting.of(read_run(run.folder, trust=trust))
        numbers = (*found, found.before - found.after)
        print(f"{plain(run.name):<{width}}", *(f"{100 * number:9.2f}" for number in numbers), flush=True)
        rows.append((run.name, *(f"{number:.6f}" for number in numbers)))
    return rows
