"""A wish to stop: from a signal, for all runs of this process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from peftlab.fit.parallel import ALONE, Ranks


class Stop:
    """`asked` is set while a step runs; `heard` is what all ranks know of it after the step, and what they go by."""

    def __init__(self, ranks: Ranks = ALONE) -> None:
        self.asked = self.heard = False
        self.ranks = ranks
        self.theirs: list[int] = []  # signals that somebody else answers when all is saved

    def hear(self) -> None:
        """Once after every step."""
        self.heard = self.ranks.any(self.asked)

    def follow(self) -> None:
        """Raise the signals that are somebody else's."""
        for number in self.theirs:
            signal.raise_signal(number)


@contextmanager
def interruptible(ranks: Ranks = ALONE) -> Iterator[Stop]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second one is Python's own.

    So does SIGUSR2, where a scheduler's client has an answer to it: `Stop.follow` calls for that one, which ends the process.
    """
    stop = Stop(ranks)

    def ask(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        if number == signal.SIGUSR2:
            stop.theirs.append(number)
        # torchrun hands on the Ctrl-C that the terminal has sent to all already, and ends who takes too long
        signal.signal(number, signal.default_int_handler if ranks.alone else signal.SIG_IGN)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if callable(signal.getsignal(signal.SIGUSR2)):
        numbers.append(signal.SIGUSR2)
    previous = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
