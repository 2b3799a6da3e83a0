"""Against the definition in loops, and an example by hand."""

import pytest
import torch

from peftlab.dataset.suspect.confident import Doubt, doubts


def by_definition(probabilities: torch.Tensor, labels: torch.Tensor) -> set[tuple[int, int]]:
    """Northcutt et al. 2021, eq. 1 and 2: the items of the confident joint off its diagonal."""
    num_items, num_classes = probabilities.shape
    p, y = probabilities.tolist(), labels.tolist()
    found = set()
    thresholds = {}
    for j in range(num_classes):
        members = [x for x in range(num_items) if y[x] == j]
        if members:
            thresholds[j] = sum(p[x][j] for x in members) / len(members)
    for x in range(num_items):
        above = [j for j in thresholds if p[x][j] >= thresholds[j]]
        if above:
            likely = max(above, key=lambda j: p[x][j])
            if likely != y[x]:
                found.add((x, likely))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_against_the_definition(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    probabilities = (2 * torch.randn(80, 4, generator=rng, dtype=torch.float64)).softmax(1)
    labels = torch.randint(0, 3, (80,), generator=rng)  # nobody has the label 3
    found = doubts(probabilities, labels)
    assert {(doubt.item, doubt.likely) for doubt in found} == by_definition(probabilities, labels)
    assert found
    assert all(doubt.likely != 3 for doubt in found)
    own = [float(probabilities[doubt.item, labels[doubt.item]]) for doubt in found]
    assert own == [doubt.confidence for doubt in found] == sorted(own)


def test_by_hand() -> None:
    """Thresholds are 0.7 and 0.6: item 2 is taken for 1, item 3 for nothing, and item 5 for 0."""
    first = torch.tensor([1.0, 0.9, 0.3, 0.6, 0.2, 0.8, 0.2], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    assert doubts(torch.stack([first, 1 - first], 1), labels) == [
        Doubt(5, 0, pytest.approx(0.2)),
        Doubt(2, 1, pytest.approx(0.3)),
    ]
