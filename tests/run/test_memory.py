"""Peak memory belongs to a run, not to the process."""

import gc
import weakref
from pathlib import Path

import pytest
import torch

from peftlab.run.memory import peak_mib, release, reset_peak

CPU = torch.device("cpu")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the mark can be reset on Linux only")
def test_the_mark_starts_anew() -> None:
    reset_peak(CPU)
    before = peak_mib(CPU)
    block = torch.ones(64 * 2**18)  # 64 MiB
    held = peak_mib(CPU)
    assert 60 < held - before < 80
    del block
    reset_peak(CPU)
    assert peak_mib(CPU) < held - 40


def test_what_an_earlier_run_left_in_cycles_is_given_back() -> None:
    class Node:
        pass

    one, other = Node(), Node()
    one.other, other.one = other, one
    gone = weakref.ref(one)
    release()  # of the first run of a process, which has nothing before it
    gc.disable()  # only `release` may collect it
    try:
        del one, other
        assert gone() is not None
        release()
        assert gone() is None
    finally:
        gc.enable()
