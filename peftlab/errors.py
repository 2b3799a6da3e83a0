"""The one exception that is the user's to mend, and the one way in which every command ends with a sentence."""

import sys
from typing import NoReturn

# exit codes: a run failed, the command was refused before anything ran, interrupted
FAILED, WRONG, INTERRUPTED = 1, 2, 130


class UserError(Exception):
    """A wrong input. The message names the key, the value that was given and the legal ones."""


def stop(sentence: str, code: int = WRONG) -> NoReturn:
    """One line on stderr, whatever the input held and whatever the terminal can show, and the exit code."""
    text = " ".join(sentence.split("\n"))
    encoding = sys.stderr.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)
    sys.exit(code)
