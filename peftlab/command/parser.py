"""A command line whose wrong words are one sentence."""

import argparse
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """argparse, with exit code 1 and no usage text for a wrong word."""

    def error(self, message: str) -> NoReturn:
        """One sentence on stderr."""
        sys.exit(f"{self.prog}: {message}")
