"""The collector rests inside, and is afterwards as it was before."""

import gc
import subprocess
import sys

import pytest

from peftlab.inputs.garbage import uncollected


def test_it_rests_inside_and_goes_on_after() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="within"), uncollected():  # noqa: PT012
        assert not gc.isenabled()
        raise ValueError("within")
    assert gc.isenabled()


def test_one_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


CODE = """
import gc
from peftlab.inputs.garbage import uncollected
with uncollected():
    pass
print(gc.get_freeze_count() > 0)
with uncollected():
    import torch
frozen = gc.get_freeze_count()
more = [[] for _ in range(1000)]
with uncollected():
    import torch
print(frozen > 100_000, gc.get_freeze_count() == frozen)
"""


@pytest.mark.slow
def test_what_torch_made_is_set_aside_once() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["False", "True", "True"], done.stderr
