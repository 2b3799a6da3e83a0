"""Against scikit-learn's logistic regression, and that nothing is said of an item by one that was fitted on it."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from peftlab.dataset.suspect.probe import WEIGHT_DECAY, fitted, out_of_fold


def blobs(counts: list[int], spread: float = 1.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around 2 * e_c."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return 2 * torch.eye(len(counts))[labels] + spread * torch.randn(
        len(labels), len(counts), generator=rng
    ), labels


def test_the_minimum_is_that_of_scikit_learn() -> None:
    x, labels = blobs([30, 20, 10])
    weight, bias = fitted(x.double(), labels, 3)
    other = LogisticRegression(C=1 / (WEIGHT_DECAY * len(x)), tol=1e-10, max_iter=10_000).fit(x, labels)
    own = (x.double() @ weight.T + bias).softmax(1)
    assert np.abs(own.numpy() - other.predict_proba(x.double())).max() < 1e-3


def test_an_item_does_not_tell_of_itself() -> None:
    """Labels by chance: a fit on the items themselves knows them, in as many dimensions; out of fold nobody does."""
    rng = torch.Generator().manual_seed(0)
    x, labels = torch.randn(60, 60, generator=rng), torch.arange(60) % 2
    weight, bias = fitted(x.double(), labels, 2)
    assert ((x.double() @ weight.T + bias).argmax(1) == labels).all()
    right = (out_of_fold(x, labels, 2, folds=5).argmax(1) == labels).double().mean()
    assert 0.3 < right < 0.7


def test_classes_that_are_apart_are_told_apart_and_one_of_two_items_knows_the_other() -> None:
    x, labels = blobs([20, 30, 2], spread=0.01)
    probabilities = out_of_fold(x, labels, 4, folds=5)
    assert probabilities.shape == (52, 4)
    assert torch.allclose(probabilities.sum(1), torch.ones(52, dtype=torch.float64))
    assert (probabilities.argmax(1) == labels).all()
