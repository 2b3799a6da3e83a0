"""A weight for each class, from its items, against the published numbers and by hand."""

import pytest
import torch
from torch.nn import functional as F

from peftlab.loss.class_balanced import class_balanced
from peftlab.loss.cross_entropy import cross_entropy
from peftlab.loss.grw import grw
from peftlab.loss.weighted import weighted

COUNTS, LABELS = torch.tensor([50, 30, 20]), torch.tensor([0, 2, 1, 2])
LOGITS = torch.tensor([[0.3, -1.0, 2.0], [0.1, 0.2, 0.3], [1.0, -0.5, 0.0], [-2.0, 0.7, 0.4]])


def by_hand(weights):
    """Mean over items, weights of mean 1."""
    own = torch.tensor(weights) * 3 / sum(weights)
    return (own[LABELS] * F.cross_entropy(LOGITS, LABELS, reduction="none")).mean()


@pytest.mark.parametrize("beta", [0.9, 0.9999])
def test_class_balanced(beta):
    expected = by_hand([(1 - beta) / (1 - beta**n) for n in COUNTS.tolist()])
    torch.testing.assert_close(class_balanced(COUNTS, beta=beta)(LOGITS, LABELS), expected)


def test_class_balanced_from_equal_weights_to_the_inverse_of_the_count():
    plain = cross_entropy(COUNTS, label_smoothing=0.0)(LOGITS, LABELS)
    torch.testing.assert_close(class_balanced(COUNTS, beta=0)(LOGITS, LABELS), plain)
    inverse = by_hand([1 / n for n in COUNTS.tolist()])
    torch.testing.assert_close(class_balanced(COUNTS, beta=1)(LOGITS, LABELS), inverse)
    torch.testing.assert_close(grw(COUNTS, rho=1.0)(LOGITS, LABELS), inverse)


@pytest.mark.parametrize("rho", [0.5, 1.2])
def test_grw(rho):
    torch.testing.assert_close(grw(COUNTS, rho=rho)(LOGITS, LABELS), by_hand([n**-rho for n in (50, 30, 20)]))
    torch.testing.assert_close(
        grw(COUNTS, rho=0)(LOGITS, LABELS), cross_entropy(COUNTS, label_smoothing=0.0)(LOGITS, LABELS)
    )


@pytest.mark.parametrize(
    "loss", [class_balanced(torch.tensor([5, 0, 3]), beta=0.99), grw(torch.tensor([5, 0, 3]), rho=1)]
)
def test_a_class_without_items_has_no_weight_and_takes_none(loss):
    logits = LOGITS[:2].clone().requires_grad_()
    value = loss(logits, torch.tensor([0, 2]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


def test_parts_of_a_batch_add_up_to_the_whole():
    loss = weighted(COUNTS, torch.tensor([1.0, 2.0, 5.0]))
    parts = loss(LOGITS[:1], LABELS[:1]) / 4 + loss(LOGITS[1:], LABELS[1:]) * 3 / 4
    torch.testing.assert_close(parts, loss(LOGITS, LABELS))
