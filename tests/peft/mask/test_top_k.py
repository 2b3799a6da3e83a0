"""The k best of several tensors."""

import pytest
import torch

from peftlab.peft.mask.top_k import top_k
from peftlab.peft.weights import Weight


def candidates_of(scores):
    return [Weight(f"w{index}", (0, 1), values, None) for index, values in enumerate(scores)]


def names(chosen):
    return [weight.name for weight, _ in chosen]


def test_the_largest_of_all_together():
    scores = [torch.tensor([[5.0, 1.0], [4.0, 2.0]]), torch.tensor([3.0, 6.0]), torch.tensor([0.0])]
    chosen = top_k(candidates_of(scores), scores, 3)
    assert names(chosen) == ["w0", "w1"]  # what has no entry is not chosen
    assert torch.equal(chosen[0][1], torch.tensor([[True, False], [True, False]]))
    assert torch.equal(chosen[1][1], torch.tensor([False, True]))


def test_of_equal_ones_the_first():
    scores = [torch.ones(3), torch.ones(2, 2), torch.full((1,), 2.0)]
    chosen = top_k(candidates_of(scores), scores, 6)
    assert names(chosen) == ["w0", "w1", "w2"]
    assert torch.equal(chosen[1][1], torch.tensor([[True, True], [False, False]]))
    assert chosen[0][1].all()
    assert chosen[2][1].all()


@pytest.mark.parametrize("k", [1, 2, 7, 30, 59, 60])
@pytest.mark.parametrize("levels", [3, 1000])
def test_the_same_as_a_stable_sort_of_everything(k, levels):
    rng = torch.Generator().manual_seed(k)
    scores = [torch.randint(levels, shape, generator=rng).float() for shape in [(4, 5), (10,), (2, 3, 5)]]
    flat = torch.cat([values.flatten() for values in scores])
    expected = torch.zeros(60, dtype=torch.bool)
    expected[flat.sort(descending=True, stable=True).indices[:k]] = True
    masks = {weight.name: mask for weight, mask in top_k(candidates_of(scores), scores, k)}
    empty = [torch.zeros_like(values, dtype=torch.bool) for values in scores]
    found = torch.cat([masks.get(f"w{index}", mask).flatten() for index, mask in enumerate(empty)])
    assert torch.equal(found, expected)
