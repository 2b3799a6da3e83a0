"""Dropout from a stream of one's own: what it keeps, what decides, and what it leaves alone."""

import pytest
import torch
from torch.nn import functional as F

from peftlab.peft.dropout import dropout
from peftlab.peft.view import Now

X = torch.linspace(-2, 2, 40_000).reshape(200, 200)


def now(seed=0, training=True):
    return Now(training=training, rng=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_each_entry_is_0_or_divided_by_what_is_kept_so_the_mean_stays(p):
    ones = torch.ones(200, 200)
    dropped = dropout(ones, p, now())
    kept = dropped != 0
    assert torch.equal(dropped[kept], torch.full_like(dropped, 1 / (1 - p))[kept])
    spread = (p / (1 - p) / ones.numel()) ** 0.5  # the standard deviation of the mean
    assert abs(dropped.mean().item() - 1) < 4 * spread
    assert abs(kept.float().mean().item() - (1 - p)) < 4 * (p * (1 - p) / ones.numel()) ** 0.5


def test_the_stream_decides_and_goes_on():
    assert torch.equal(dropout(X, 0.5, now(3)), dropout(X, 0.5, now(3)))
    assert not torch.equal(dropout(X, 0.5, now(3)), dropout(X, 0.5, now(4)))
    one = now(3)
    first, second = dropout(X, 0.5, one), dropout(X, 0.5, one)
    assert not torch.equal(first, second), "two sites of one forward would drop the same entries"


def test_the_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = dropout(X, 0.5, now())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(dropout(X, 0.5, now()), first)


def test_without_a_stream_it_is_torch_s():
    torch.manual_seed(5)
    ours = dropout(X, 0.3, Now(training=True))
    torch.manual_seed(5)
    assert torch.equal(ours, F.dropout(X, 0.3))


@pytest.mark.parametrize(
    ("p", "given"), [(0.0, now()), (0.5, now(training=False)), (1.0, now(training=False))]
)
def test_nothing_is_dropped_and_nothing_drawn(p, given):
    before = given.rng.get_state()
    assert dropout(X, p, given) is X
    assert torch.equal(given.rng.get_state(), before)


def test_all_can_be_dropped():
    assert not dropout(X, 1.0, now()).any()


def test_the_gradient_is_the_mask():
    x = X.clone().requires_grad_()
    dropout(x, 0.5, now()).sum().backward()
    assert torch.equal(x.grad, dropout(torch.ones_like(X), 0.5, now()))
