"""Where class vectors start."""

import torch

from peftlab.head.initial import initial


def test_class_means_are_copied():
    means = torch.randn(3, 5)
    start = initial(5, 3, means, torch.Generator(), "class_mean")
    assert torch.equal(start, means)
    assert start.data_ptr() != means.data_ptr()


def test_class_means_that_a_saved_head_replaces_are_zeros():
    assert torch.equal(initial(5, 3, None, torch.Generator(), "class_mean"), torch.zeros(3, 5))


def test_random_is_the_generator_s_and_of_unit_length_on_average():
    first, second, other = (
        initial(400, 50, None, torch.Generator().manual_seed(seed), "random") for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert abs(first.square().sum(-1).mean().item() - 1) < 0.05


def test_zeros():
    assert torch.equal(initial(5, 3, torch.randn(3, 5), torch.Generator(), "zeros"), torch.zeros(3, 5))
