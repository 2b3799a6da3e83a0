"""The plain loss."""

import torch

from peftlab.loss.cross_entropy import cross_entropy


def test_closed_form_and_counts_play_no_part():
    logits, labels = torch.randn(5, 3).double(), torch.tensor([0, 2, 1, 0, 0])
    expected = -(logits.exp() / logits.exp().sum(-1, keepdim=True)).log()[range(5), labels].mean()
    for counts in (torch.tensor([1, 1, 1]), torch.tensor([500, 3, 0])):
        torch.testing.assert_close(cross_entropy(counts)(logits, labels), expected)
