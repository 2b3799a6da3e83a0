"""Distances of class centres and variances within classes, against loops over pairs of classes and of items."""

from itertools import pairwise
from math import isnan

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from peftlab.evaluate.centres import Centres, centre_metrics
from peftlab.evaluate.metrics import Counts

LABEL = torch.tensor([0, 3, 1, 1, 0, 3, 3, 1, 0, 4])  # nothing of class 2
FEATURES = torch.randn(10, 6, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 11).unsqueeze(
    -1
)
GROUPS = {"head": [0, 1], "medium": [2], "tail": [2, 3, 4]}


def centres(*cuts: int) -> Centres:
    found = Centres.zeros(5, 6)
    for start, stop in pairwise((0, *cuts, 10)):
        found.update(FEATURES[start:stop], LABEL[start:stop])
    return found


def test_distance_is_the_mean_over_all_other_classes() -> None:
    own = {c: FEATURES[c == LABEL].double().mean(0) for c in (0, 1, 3, 4)}
    for c, value in enumerate(centres().distance().tolist()):
        if c == 2:
            assert isnan(value)
            continue
        each = [1 - cosine_similarity(own[c], own[k], dim=0).item() for k in own if k != c]
        assert value == pytest.approx(sum(each) / 3, abs=1e-9)


def test_variance_is_half_the_mean_square_distance_of_two_items() -> None:
    """Of independent items of a class, both at length 1: E |u - u'|^2 = 2 E |u - mean|^2."""
    for c, value in enumerate(centres().variance().tolist()):
        units = normalize(FEATURES[c == LABEL].double(), dim=-1)
        if not len(units):
            assert isnan(value)
            continue
        each = [(first - second).square().sum().item() for first in units for second in units]
        assert value == pytest.approx(sum(each) / len(each) / 2, abs=1e-12)
    assert centres().variance()[4].item() == pytest.approx(0, abs=1e-12)


def test_lengths_and_batches_do_not_matter() -> None:
    whole, parts, longer = centres(), centres(3, 4), Centres.zeros(5, 6)
    longer.update(3 * FEATURES, LABEL)
    for other in (parts, longer):
        assert torch.allclose(other.distance(), whole.distance(), equal_nan=True)
        assert torch.allclose(other.variance(), whole.variance(), equal_nan=True)


def test_groups_are_means_over_the_classes_that_are_there() -> None:
    found = centre_metrics(centres(), GROUPS)
    distance, variance = centres().distance(), centres().variance()
    assert found["mean_distance"] == pytest.approx(distance[[0, 1, 3, 4]].mean().item())
    assert found["tail_distance"] == pytest.approx(distance[[3, 4]].mean().item())
    assert found["head_variance"] == pytest.approx(variance[[0, 1]].mean().item())
    assert isnan(found["medium_distance"])
    assert isnan(found["medium_variance"])


def test_one_class_has_no_distance() -> None:
    found = Centres.zeros(2, 3)
    found.update(torch.eye(3)[:2], torch.zeros(2, dtype=torch.int64))
    assert found.distance().isnan().all()


def test_opposite_and_equal_classes() -> None:
    found = Centres.zeros(3, 2)
    found.update(torch.tensor([[1.0, 0], [2, 0], [-3, 0]]), torch.tensor([0, 1, 2]))
    assert found.distance().tolist() == pytest.approx([1, 1, 2])


def test_counts_read_logits_and_the_features_beside_them() -> None:
    logits = torch.nn.functional.one_hot(LABEL.flip(0), 5).float()
    plain, both = Counts.zeros(5), Counts.zeros(5)
    assert torch.equal(plain.read(logits, LABEL), LABEL.flip(0))
    # a feature larger than every logit is no class
    assert torch.equal(both.read(torch.cat([logits, 100 + FEATURES.abs()], dim=-1), LABEL), LABEL.flip(0))
    assert plain.centres is None
    assert both.centres is not None
    assert both.correct.tolist() == plain.correct.tolist()
    wanted = Centres.zeros(5, 6)
    wanted.update(100 + FEATURES.abs(), LABEL)
    assert torch.equal(both.centres.sums, wanted.sums)
