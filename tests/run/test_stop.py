"""A wish to stop comes from a signal; a second one is Python's own, and somebody else's is raised again."""

import os
import signal

import pytest

from peftlab.run.stop import interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_and_a_second_one_interrupts(number: int) -> None:
    before = signal.getsignal(number)
    with interruptible() as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    stop.follow()  # nobody else's


def test_what_somebody_else_answers_follows_when_all_is_saved() -> None:
    answered: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: answered.append(number))
    try:
        with interruptible() as stop:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert stop.asked
            assert not answered
        stop.follow()
        assert answered == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_without_an_answer_of_somebody_else_it_is_left_alone() -> None:
    with interruptible():
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
