"""A wish to stop: from a signal, for all runs of this process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """`asked` is set while a step runs, and read after it."""

    def __init__(self) -> None:
        self.asked = False
        self.theirs: list[int] = []  # signals that somebody else answers when all is saved

    def follow(self) -> None:
        """Raise the signals that are somebody else's."""
        for number in self.theirs:
            signal.raise_signal(number)


@contextmanager
def interruptible() -> Iterator[Stop]:
    """SIGINT and SIGTERM ask for a stop after the current step; a second one is Python's own.

    So does SIGUSR2, where a scheduler's client has an answer to it: `Stop.follow` calls for that one, which ends the process.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        if number == signal.SIGUSR2:
            stop.theirs.append(number)
        signal.signal(number, signal.default_int_handler)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if callable(signal.getsignal(signal.SIGUSR2)):
        numbers.append(signal.SIGUSR2)
    previous = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
