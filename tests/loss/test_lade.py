"""Balanced softmax and, beside it, the estimate of log p(x|y) / p(x)."""

import math

import pytest
import torch

from peftlab.loss.lade import lade
from peftlab.loss.logit_adjusted import logit_adjusted

COUNTS, LABELS = torch.tensor([50, 30, 20]), torch.tensor([0, 2, 1, 2])


def by_hand(logits, weight, remine):
    """Sums in loops."""
    prior = [0.5, 0.3, 0.2]
    total = logit_adjusted(COUNTS, tau=1.0)(logits, LABELS)
    for c in range(3):
        own = [i for i in range(4) if LABELS[i] == c]
        joint = sum(logits[i, c] for i in own) / len(own)
        spread = (
            sum((logits[i, c] - math.log(prior[c]) + math.log(1 / 3)).exp() for i in range(4)) / 4
        ).log()
        total = total - weight * prior[c] * (joint - spread - remine * spread**2)
    return total


@pytest.mark.parametrize(("weight", "remine"), [(0.1, 0.1), (1.0, 0.5)])
def test_closed_form_and_gradient(weight, remine):
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    loss = lade(COUNTS, weight=weight, remine=remine)
    torch.testing.assert_close(loss(logits, LABELS), by_hand(logits, weight, remine))
    assert torch.autograd.gradcheck(lambda z: loss(z, LABELS), logits)


def test_without_weight_it_is_the_balanced_softmax():
    logits = torch.randn(4, 3)
    expected = logit_adjusted(COUNTS, tau=1.0)(logits, LABELS)
    assert torch.equal(lade(COUNTS, weight=0, remine=0.1)(logits, LABELS), expected)


def test_classes_that_a_batch_or_a_split_lacks_break_nothing():
    logits = torch.randn(2, 4, requires_grad=True)
    value = lade(torch.tensor([5, 0, 3, 2]), weight=0.1, remine=0.1)(logits, torch.tensor([0, 2]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
