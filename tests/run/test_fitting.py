"""How many cells fit: from what a forward keeps."""

from typing import Any

import pytest
import torch

from peftlab.run.fitting import free_on, kept_bytes, num_together


@pytest.mark.parametrize("words", [("placement.depth=0",), ("placement.depth=1",), ("peft=adaptformer",)])
def test_twice_the_items_keep_twice_as_much(state: Any, words: tuple[str, ...]) -> None:
    one, two = (state(*words, f"fit.batch_size={size}").experiment for size in (64, 128))
    assert kept_bytes(two) == pytest.approx(2 * kept_bytes(one), rel=0.1)


def test_what_begins_higher_keeps_less(state: Any) -> None:
    low, high = (state(f"placement.depth={depth}").experiment for depth in (0, 1))
    assert 1.5 * kept_bytes(high) < kept_bytes(low)


def test_frozen_weights_in_int8_are_not_kept_by_a_forward(state: Any) -> None:
    pytest.importorskip("torchao", reason="peftlab[quantise] is not installed")
    plain, rounded = (state(f"backbone.quantise={word}").experiment for word in ("null", "int8"))
    assert kept_bytes(rounded) == kept_bytes(plain)


def test_as_many_as_fit_and_one_on_a_cpu(state: Any) -> None:
    experiments = [state("placement.depth=0").experiment for _ in range(3)]
    assert num_together(experiments) == 1
    one = kept_bytes(experiments[0])
    theta = sum(4 * value.numel() for value in experiments[0].cell.theta().values())
    for room, expected in ((0.5, 1), (1.1, 1), (2.1, 2), (30, 3)):
        assert num_together(experiments, int((room * one + 4 * 3 * theta) / 0.8)) == expected
    with pytest.raises(MemoryError, match=r"^what 3 cells train takes .* hydra.launcher.max_cells bounds"):
        num_together(experiments, int(4 * theta))


def test_free_memory_is_known_here() -> None:
    free = free_on(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50


def test_what_torch_keeps_of_earlier_runs_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of 80 of which 50 are with this process, and 40 of these in no tensor."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (30, 80))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10)
    assert free_on(torch.device("cuda")) == 70
