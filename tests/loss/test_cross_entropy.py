"""The plain loss."""

import torch

from peftlab.loss.cross_entropy import cross_entropy


def test_closed_form_and_counts_play_no_part():
    logits, labels = torch.randn(5, 3).double(), torch.tensor([0, 2, 1, 0, 0])
    expected = -(logits.exp() / logits.exp().sum(-1, keepdim=True)).log()[range(5), labels].mean()
    for counts in (torch.tensor([1, 1, 1]), torch.tensor([500, 3, 0])):
        torch.testing.assert_close(cross_entropy(counts, label_smoothing=0.0)(logits, labels), expected)


def test_smoothing_is_the_mean_over_all_classes_for_its_share():
    logits = torch.randn(5, 4, dtype=torch.float64, generator=torch.manual_seed(1))
    labels, log_p = torch.tensor([0, 3, 1, 1, 2]), logits.log_softmax(-1)
    expected = -(0.8 * log_p[range(5), labels] + 0.2 * log_p.mean(-1)).mean()
    loss = cross_entropy(torch.ones(4, dtype=torch.long), label_smoothing=0.2)
    torch.testing.assert_close(loss(logits, labels), expected)
