"""Which devices workers get, what they start with, and that two sweeps do not take the same one."""

import os
import tempfile
from pathlib import Path

import pytest

from peftlab.engine import device
from peftlab.engine.device import Claim, Device, devices
from peftlab.errors import UserError


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Four cores, no GPU, and a place for locks of its own."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "GPUS", tmp_path / "none")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))


@pytest.mark.parametrize(
    ("workers", "names"),
    [
        (None, ["core 0", "core 1", "core 2", "core 3"]),
        (2, ["cores 0-1", "cores 2-3"]),
        (3, ["core 0", "core 1", "core 2"]),
        (1, ["cores 0-3"]),
    ],
)
def test_cores_are_shared_out_evenly(workers: int | None, names: list[str]) -> None:
    found = devices(workers, cpu=False)
    assert [one.name for one in found] == names
    assert {one.environment["OMP_NUM_THREADS"] for one in found} == {str(len(found[0].cores))}
    assert {one.environment["CUDA_VISIBLE_DEVICES"] for one in found} == {""}


def test_gpus_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert [one.gpu for one in devices(None, cpu=False)] == ["2", "5"]
    assert [one.gpu for one in devices(4, cpu=False)] == ["2", "5", "2", "5"]
    assert [one.gpu for one in devices(None, cpu=True)] == [None] * 4
    assert devices(None, cpu=False)[1].environment["CUDA_VISIBLE_DEVICES"] == "5"


def test_more_workers_than_cores_are_refused() -> None:
    with pytest.raises(UserError, match=r"workers=5 is more than the 4 cores here; legal: 1 to 4, or null"):
        devices(5, cpu=False)


def test_a_device_is_one_sweep_s_until_it_gives_it_back() -> None:
    cores = devices(None, cpu=False)
    first = Claim(cores[:3])
    assert [one.name for one in Claim(cores).devices] == ["core 3"], (
        "and that is free again: nobody holds the claim"
    )
    with pytest.raises(UserError, match="another sweep has core 0, core 1; legal: when it has ended"):
        Claim(cores[:2])
    first.release()
    assert len(Claim(cores).devices) == 4


def test_two_workers_of_one_sweep_share_a_gpu() -> None:
    both = [Device("0", (0, 1)), Device("0", (2, 3))]
    claim = Claim(both)
    assert claim.devices == both
    with pytest.raises(UserError, match="another sweep has gpu 0"):
        Claim(both)
