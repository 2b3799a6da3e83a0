"""The one exception that is the user's to mend, and the one way in which every command ends with a sentence."""

import sys
from typing import NoReturn

# exit codes: a run failed, the command was refused before anything ran, interrupted
FAILED, WRONG, INTERRUPTED = 1, 2, 130


class UserError(Exception):
    """A wrong input. The message names the key, the value that was given and the legal ones."""


class MissingData(UserError):
    """A data set, or a file of it, that is not on this machine."""


def say(sentence: str) -> None:
    """One line on stderr, whatever the input held and whatever the terminal can show."""
    text = " ".join(sentence.split("\n"))
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
    encoding = sys.stderr.encoding or "utf-8"
    print(shown.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def stop(sentence: str, code: int = WRONG) -> NoReturn:
    """The same, and the exit code."""
    say(sentence)
    sys.exit(code)
