"""A command line whose wrong words are one sentence."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from peftlab import __version__
from peftlab.errors import FAILED, WRONG, UserError, stop
from peftlab.inputs.plain import plain
from peftlab.record.whole_file import refusal


class Parser(argparse.ArgumentParser):
    """argparse, with `--version`, exit code 2 and no usage text for a wrong word."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.add_argument("--version", action="version", version=f"peftlab {__version__}")

    def error(self, message: str) -> NoReturn:
        """One sentence on stderr."""
        stop(f"{self.prog}: {message}; {self.prog} --help lists what is legal")

    def add_trust(self) -> None:
        """`--trust PACKAGE`: only who types the command can trust, and no folder that it reads."""
        self.add_argument(
            "--trust",
            action="append",
            default=[],
            metavar="PACKAGE",
            help="a package of your own whose functions the run may name; once for each",
        )

    def add_compared(self) -> None:
        """`--baseline` and `--claim`: which cells of a sweep are compared."""
        self.add_argument("--baseline", help="cell to compare with: placement.depth=0-2,placement.position=q")
        self.add_argument(
            "--claim",
            action="append",
            default=[],
            metavar="'CELL > CELL'",
            help="a claim named beforehand, once for each; with @tail after it, of the tail",
        )

    @contextmanager
    def answers(self, where: Path | None = None) -> Iterator[None]:
        """What goes wrong in here ends the command with one sentence: 2 for a wrong input, 1 for a disk that fails at `where`."""
        try:
            yield
        except Exception as error:
            sentence = refusal(error, where or Path.cwd())
            if sentence is None:
                raise
            said = plain(" ".join(sentence.splitlines()))
            stop(f"{self.prog}: {said}", WRONG if isinstance(error, UserError) else FAILED)


def check_options(words: list[str]) -> None:
    """Hydra's own options, read as Hydra will read them, in case one is wrong or stands between two KEY=VALUE."""
    from hydra._internal.utils import get_args_parser  # not at the top: peftlab-methods needs no hydra

    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        stop(
            f"peftlab: {message}; legal: KEY=VALUE side by side, options before or after them all; "
            "peftlab --hydra-help lists the options"
        )

    parser.error = error  # type: ignore[method-assign]
    parser.parse_args(words)
