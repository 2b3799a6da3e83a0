"""device=cuda: answered without torch where there is no driver, and left to torch where there is one."""

import ctypes
from pathlib import Path

import pytest

from peftlab.config.device import check_device
from peftlab.errors import UserError


def test_no_driver_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", none)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(
        UserError, match=r"^device=cuda: this machine has no CUDA device .*; legal: auto, cpu$"
    ):
        check_device("cuda")
    for name in ("auto", "cpu"):
        check_device(name)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: None)
    check_device("cuda")
