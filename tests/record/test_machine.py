"""Errors of the machine are told from those of the run, in whatever words they come."""

import errno
import os

import pytest
import torch

from peftlab.errors import UserError
from peftlab.record.machine import is_of_machine, is_out_of_memory

NUMBERS = [
    "ENOSPC",
    "EDQUOT",
    "EFBIG",
    "EROFS",
    "EIO",
    "EACCES",
    "EPERM",
    "ESTALE",
    "ENOLCK",
    "EMFILE",
    "ENFILE",
    "ENOMEM",
]


def raised(error: BaseException, cause: BaseException | None = None, context: bool = False) -> BaseException:
    """As it is caught: made of another one, or while another one was dealt with."""
    try:
        if context and cause is not None:
            try:
                raise cause
            except BaseException:
                raise error  # noqa: B904
        raise error from cause
    except BaseException as caught:
        return caught


@pytest.mark.parametrize("name", NUMBERS)
def test_an_error_of_the_system_is_of_the_machine(name: str) -> None:
    number = getattr(errno, name)
    error = OSError(number, os.strerror(number), "file")
    assert is_of_machine(error)
    assert is_of_machine(raised(UserError("file cannot be read"), error))
    assert is_of_machine(raised(RuntimeError("unexpected end"), error, context=True))
    assert is_out_of_memory(error) == (name == "ENOMEM")


@pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "ESTALE", "ENOMEM"])
def test_a_library_s_own_error_is_known_by_its_words(name: str) -> None:
    words = os.strerror(getattr(errno, name))
    assert is_of_machine(RuntimeError(f"SafetensorError: I/O error: {words} (os error 5)"))
    assert is_of_machine(UserError(f"rank 1: OSError: {words}; all ranks end with it"))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory. Error code 12 (Cannot allocate memory)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        UserError("rank 1: MemoryError: no memory; all ranks end with it"),
    ],
)
def test_memory_that_is_short(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert is_of_machine(error)
    assert is_of_machine(raised(ValueError("no batch"), error))


def test_the_allocator_of_torch_says_it_in_these_words() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value), str(caught.value)


def test_the_rest_is_of_the_run() -> None:
    for error in (
        ZeroDivisionError("thirteen"),
        UserError("peft.rank=0 is not legal"),
        RuntimeError("size mismatch"),
        raised(UserError("no such file"), FileNotFoundError(errno.ENOENT, "No such file or directory", "x")),
        raised(KeyError("x"), ValueError("y"), context=True),
    ):
        assert not is_of_machine(error)
        assert not is_out_of_memory(error)


def test_what_was_meant_to_be_forgotten_is() -> None:
    """`raise ... from None`: whoever says so knows that the one before is not why."""
    with pytest.raises(ValueError, match="another") as caught:  # noqa: PT012
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError:
            raise ValueError("another") from None
    assert not is_of_machine(caught.value)


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("a"), ValueError("b")
    one.__cause__, other.__cause__ = other, one
    assert not is_of_machine(one)
