"""How many cells fit: from what a forward keeps, against what autograd says of a whole batch."""

from typing import Any

import pytest
import torch

from peftlab.run.fitting import free_on, kept_bytes, num_together


def kept_by(experiment: Any) -> int:
    """Of the whole batch, counted anew."""
    batch = next(experiment.learner.batches.iterate(0))
    sizes: dict[int, int] = {}
    own = {
        value.untyped_storage().data_ptr()
        for value in [*experiment.trunk.backbone.model.parameters(), *experiment.cell.theta().values()]
    }

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = experiment.network.outputs([experiment.cell], batch.inputs, [experiment.learner.now(0)])
    assert outputs
    return sum(sizes.values())


@pytest.mark.parametrize("words", [("placement.depth=0",), ("placement.depth=1",), ("peft=adaptformer",)])
def test_two_items_say_what_a_batch_keeps(state: Any, words: tuple[str, ...]) -> None:
    experiment = state(*words).experiment
    assert kept_bytes(experiment) == pytest.approx(kept_by(experiment), rel=0.1)


def test_what_begins_higher_keeps_less(state: Any) -> None:
    low, high = (state(f"placement.depth={depth}").experiment for depth in (0, 1))
    assert 1.5 * kept_bytes(high) < kept_bytes(low)


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
