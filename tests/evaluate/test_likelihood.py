"""The mean over tokens of answers, and its interval, against a delta method written out, resampling, and torch's own loss."""

from math import isnan, sqrt

import pytest
import torch
from torch import nn

from peftlab.evaluate import likelihood
from peftlab.evaluate.likelihood import ratio, token_scores


@pytest.fixture
def answers():
    rng = torch.Generator().manual_seed(0)
    b = torch.randint(1, 20, (200,), generator=rng).double()
    return b * (1 + 0.5 * torch.randn(200, generator=rng).double()), b


def test_the_interval_is_that_of_resampled_answers(answers):
    a, b = answers
    found = ratio(a, b)
    assert found.value == pytest.approx(float(a.sum() / b.sum()))
    rng = torch.Generator().manual_seed(1)
    rows = torch.randint(0, len(a), (4000, len(a)), generator=rng)
    spread = (a[rows].sum(1) / b[rows].sum(1)).std().item()
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * spread, rel=0.05)
    assert found.high - found.value == pytest.approx(found.value - found.low)


def test_of_answers_of_one_length_it_is_that_of_a_mean():
    a = torch.tensor([1.0, 2.0, 4.0, 9.0], dtype=torch.float64)
    found = ratio(a, torch.ones(4))
    half = 1.959964 * a.std().item() / sqrt(4)
    assert found == pytest.approx((4.0, 4.0 - half, 4.0 + half), rel=1e-6)


def test_of_one_answer_there_is_no_interval():
    found = ratio(torch.tensor([3.0]), torch.tensor([2.0]))
    assert found.value == 1.5
    assert isnan(found.low)
    assert isnan(found.high)
    assert all(map(isnan, ratio(torch.zeros(0), torch.zeros(0))))
    assert ratio(torch.tensor([3.0]), torch.tensor([2.0])).named("x").keys() == {"x", "x_low", "x_high"}


def test_scores_of_tokens_a_few_at_a_time(monkeypatch):
    rng = torch.Generator().manual_seed(2)
    head, features = nn.Linear(6, 11), torch.randn(25, 6, generator=rng)
    targets = torch.randint(0, 11, (25,), generator=rng)
    monkeypatch.setattr(likelihood, "TOKENS_AT_ONCE", 4)
    found = token_scores(head, features, targets)
    logits = head(features)
    torch.testing.assert_close(
        found[:, 0], nn.functional.cross_entropy(logits, targets, reduction="none").detach()
    )
    assert torch.equal(found[:, 1], (logits.argmax(-1) == targets).float())
    assert token_scores(head, features[:0], targets[:0]).shape == (0, 2)
