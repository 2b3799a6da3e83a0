"""CE(z + tau log pi, y)."""

import pytest
import torch

from peftlab.loss.cross_entropy import cross_entropy
from peftlab.loss.logit_adjusted import logit_adjusted

COUNTS = torch.tensor([50, 30, 20])
LABELS = torch.tensor([0, 2, 1, 2])


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_closed_form(tau):
    """-log( pi_y^tau e^{z_y} / sum_c pi_c^tau e^{z_c} )."""
    logits = torch.randn(4, 3)
    weighted = torch.tensor([0.5, 0.3, 0.2]) ** tau * logits.exp()
    expected = -(weighted / weighted.sum(-1, keepdim=True)).log()[range(4), LABELS].mean()
    torch.testing.assert_close(logit_adjusted(COUNTS, tau=tau)(logits, LABELS), expected)


def test_images_that_say_nothing_pull_no_class():
    """With labels as often as the prior says, equal logits are the optimum: the head class gains nothing."""
    logits = torch.zeros(100, 3, requires_grad=True)
    labels = torch.repeat_interleave(torch.arange(3), COUNTS)
    logit_adjusted(COUNTS, tau=1.0)(logits, labels).backward()
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(3), rtol=0, atol=1e-7)
    logits.grad = None
    cross_entropy(COUNTS, label_smoothing=0.0)(logits, labels).backward()
    assert logits.grad.sum(0)[0] < -0.1


def test_without_tau_or_without_imbalance_it_is_cross_entropy():
    logits, plain = torch.randn(4, 3), cross_entropy(COUNTS, label_smoothing=0.0)
    assert torch.equal(logit_adjusted(COUNTS, tau=0.0)(logits, LABELS), plain(logits, LABELS))
    torch.testing.assert_close(
        logit_adjusted(torch.tensor([7, 7, 7]), tau=1.0)(logits, LABELS), plain(logits, LABELS)
    )


def test_only_proportions_count():
    logits = torch.randn(4, 3)
    torch.testing.assert_close(
        logit_adjusted(COUNTS, tau=1.0)(logits, LABELS), logit_adjusted(10 * COUNTS, tau=1.0)(logits, LABELS)
    )


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_a_class_without_images_takes_no_part(tau):
    logits = torch.randn(3, 4, requires_grad=True)
    loss = logit_adjusted(torch.tensor([5, 0, 3, 2]), tau=tau)
    value = loss(logits, torch.tensor([0, 2, 3]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    assert logits.grad[:, 1].any() == (tau == 0)


def test_double_precision_is_kept():
    assert logit_adjusted(COUNTS, tau=1.0)(torch.randn(4, 3).double(), LABELS).dtype == torch.float64
