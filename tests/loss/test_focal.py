"""-(1 - p)^gamma log p."""

import pytest
import torch

from peftlab.loss.cross_entropy import cross_entropy
from peftlab.loss.focal import focal

COUNTS, LABELS = torch.tensor([50, 30, 20]), torch.tensor([0, 2, 1, 2])


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5])
def test_closed_form_and_gradient(gamma):
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    p = logits.softmax(-1)[range(4), LABELS]
    expected = (-((1 - p) ** gamma) * p.log()).mean()
    loss = focal(COUNTS, gamma=gamma)
    torch.testing.assert_close(loss(logits, LABELS), expected)
    assert torch.autograd.gradcheck(lambda z: loss(z, LABELS), logits)


def test_without_gamma_it_is_cross_entropy():
    logits = torch.randn(4, 3)
    torch.testing.assert_close(
        focal(COUNTS, gamma=0)(logits, LABELS), cross_entropy(COUNTS, label_smoothing=0.0)(logits, LABELS)
    )


def test_an_item_that_is_certain_gives_no_number_that_is_none():
    logits = torch.tensor([[200.0, 0, 0]], requires_grad=True)
    value = focal(COUNTS, gamma=2.0)(logits, torch.tensor([0]))
    value.backward()
    assert value == 0
    assert logits.grad.isfinite().all()
