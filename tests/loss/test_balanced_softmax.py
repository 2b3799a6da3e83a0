"""-log( n_y e^z_y / sum n_c e^z_c )."""

import torch

from peftlab.loss.balanced_softmax import balanced_softmax


def test_closed_form():
    counts, labels, logits = torch.tensor([50, 30, 20]), torch.tensor([0, 2, 1, 2]), torch.randn(4, 3)
    weighted = counts * logits.exp()
    expected = -(weighted / weighted.sum(-1, keepdim=True)).log()[range(4), labels].mean()
    torch.testing.assert_close(balanced_softmax(counts)(logits, labels), expected)
