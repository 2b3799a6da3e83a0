"""Groups of entries: who belongs to which, and which fit into a budget."""

import torch

from peftlab.peft.mask.top_groups import Sliced, group_sizes, top_groups
from peftlab.peft.weights import Weight
from peftlab.site import Site


def sliced(name, shape, axis, num_groups, block=0):
    return Sliced(Weight(name, (0, 1), torch.zeros(shape), Site(block, "q")), axis, num_groups)


def test_rows_and_columns():
    rows, columns = sliced("r", (4, 3), 0, 2), sliced("c", (3, 4), 1, 2)
    values = torch.arange(12.0).reshape(4, 3)
    assert torch.equal(rows.by_group(values), torch.tensor([15.0, 51.0]))
    assert torch.equal(columns.by_group(values.T), torch.tensor([15.0, 51.0]))
    kept = torch.tensor([False, True])
    expected = torch.tensor([[False] * 3, [False] * 3, [True] * 3, [True] * 3])
    assert torch.equal(rows.mask(kept), expected)
    assert torch.equal(columns.mask(kept), expected.T)
    assert torch.equal(sliced("b", (4,), 0, 2).mask(kept), expected[:, 0])


def test_sizes_add_up_over_the_weights_of_a_block():
    parts = [sliced("a", (4, 3), 0, 2), sliced("b", (4,), 0, 2), sliced("c", (5, 6), 1, 3, block=7)]
    assert group_sizes(parts) == {(0, False): 8, (7, False): 10}


def test_the_mean_decides_and_not_the_sum():
    """Two groups of 1 entry with scores 3 and 2, two of 4 entries with means 2.5 and 1 (sums 10 and 4)."""
    small, large = sliced("s", (2,), 0, 2), sliced("l", (2, 4), 0, 2, block=1)
    scores = [torch.tensor([3.0, 2.0]), torch.tensor([[2.5] * 4, [1.0] * 4])]
    kept = {weight.name: mask for weight, mask in top_groups([small, large], scores, 5)}
    assert torch.equal(kept["s"], torch.tensor([True, False]))
    assert torch.equal(kept["l"][:, 0], torch.tensor([True, False]))


def test_one_too_large_for_the_rest_is_passed_over_and_the_budget_is_never_exceeded():
    small, large = sliced("s", (3,), 0, 3), sliced("l", (2, 4), 0, 2, block=1)
    scores = [torch.tensor([3.0, 2.0, 1.0]), torch.tensor([[2.5] * 4, [9.0] * 4])]
    kept = {weight.name: mask for weight, mask in top_groups([small, large], scores, 7)}
    assert kept["l"].sum() == 4
    assert torch.equal(kept["l"][:, 0], torch.tensor([False, True]))
    assert torch.equal(kept["s"], torch.tensor([True, True, True]))


def test_of_equal_ones_the_lower_block_and_index():
    upper, lower = sliced("u", (4,), 0, 4, block=3), sliced("w", (4,), 0, 4, block=1)
    ones = [torch.ones(4), torch.ones(4)]
    (only,) = top_groups([upper, lower], ones, 2)
    assert only[0].name == "w"
    assert torch.equal(only[1], torch.tensor([True, True, False, False]))


def test_a_group_is_one_over_all_its_weights():
    parts = [sliced("a", (2, 2), 0, 2), sliced("b", (2,), 0, 2)]
    scores = [torch.tensor([[1.0, 1.0], [2.0, 2.0]]), torch.tensor([8.0, 0.0])]  # means 10/3 and 4/3
    kept = {weight.name: mask for weight, mask in top_groups(parts, scores, 3)}
    assert torch.equal(kept["a"], torch.tensor([[True, True], [False, False]]))
    assert torch.equal(kept["b"], torch.tensor([True, False]))
