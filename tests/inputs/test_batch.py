"""What a network is given at once."""

import torch

from peftlab.inputs.batch import Batch


def test_inputs_and_targets_move_and_row_ids_stay() -> None:
    inputs = {"images": torch.ones(2, 3, 4, 4), "mask": torch.ones(2, 5)}
    batch = Batch(inputs, torch.tensor([1, 0]), torch.tensor([7, 3]))
    there = batch.to(torch.device("meta"))
    assert {name: value.device.type for name, value in there.inputs.items()} == dict.fromkeys(inputs, "meta")
    assert there.targets.device.type == "meta"
    assert torch.equal(there.rows, batch.rows)
    assert batch.inputs["images"].device.type == "cpu", "the batch itself stays where it is"
