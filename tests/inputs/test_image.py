"""What a backbone expects of its pictures."""

import torch

from peftlab.inputs.image import InputSpec


def test_an_example_has_the_size_and_the_name_of_the_input() -> None:
    example = InputSpec(24, (0.5,) * 3, (0.5,) * 3, "bicubic", 0.9).example()
    assert list(example) == ["images"]
    assert torch.equal(example["images"], torch.zeros(1, 3, 24, 24))
