"""Which errors are of the machine and not of the run: what fails for want of room, memory or a sound disk says nothing of its cell."""

import errno
import os
from collections.abc import Iterator

from peftlab.record.whole_file import NO_ROOM, TOLD

# a disk as `refusal` knows it; a file system that is gone; too many files; no memory
NUMBERS = (*NO_ROOM, errno.ESTALE, errno.ENOLCK, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
OUT_OF_MEMORY = ("MemoryError", os.strerror(errno.ENOMEM), "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_of_machine(error: BaseException) -> bool:
    """Whether the same run may well pass elsewhere or later. An error that was made of another one is of its kind."""
    words = (*map(os.strerror, TOLD), os.strerror(errno.ESTALE))
    return is_out_of_memory(error) or any(
        (isinstance(one, OSError) and one.errno in NUMBERS) or any(word in str(one) for word in words)
        for one in _chain(error)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short: Python's, the allocator's of torch (a RuntimeError), a GPU's, or that of another rank in its words."""
    return any(
        word in f"{type(one).__name__}: {one}" or isinstance(one, MemoryError)
        for one in _chain(error)
        for word in OUT_OF_MEMORY
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it was raised from."""
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here
        here = here.__cause__ or (None if here.__suppress_context__ else here.__context__)
