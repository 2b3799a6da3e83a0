"""A command line whose wrong words are one sentence."""

import argparse
import sys
from typing import Any, NoReturn

from peftlab import __version__


class Parser(argparse.ArgumentParser):
    """argparse, with `--version`, exit code 1 and no usage text for a wrong word."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.add_argument("--version", action="version", version=f"peftlab {__version__}")

    def error(self, message: str) -> NoReturn:
        """One sentence on stderr."""
        sys.exit(f"{self.prog}: {message}")
