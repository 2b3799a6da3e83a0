"""Python's collector rests while modules are imported: they leave no garbage, and looking for it costs half a second of a start."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside, nothing is looked for. What torch's first import has made is never looked at again: it stays to the end."""
    collects, first = gc.isenabled(), "torch" not in sys.modules
    gc.disable()
    try:
        yield
    finally:
        if first and "torch" in sys.modules:
            gc.freeze()
        if collects:
            gc.enable()
