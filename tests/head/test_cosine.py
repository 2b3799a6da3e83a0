"""Scaled cosines."""

import pytest
import torch

from peftlab.head.cosine import Cosine


def head(init, means=None, scale=25.0):
    return Cosine(4, 3, means, torch.Generator().manual_seed(0), scale=scale, init=init)


@pytest.mark.parametrize("init", ["class_mean", "random"])
def test_closed_form(init):
    means, features = 5 * torch.randn(3, 4), torch.randn(6, 4)
    model = head(init, means, scale=7.0)
    expected = torch.tensor(
        [[7 * (f @ w) / (f.norm() * w.norm()) for w in model.weight.detach()] for f in features]
    )
    torch.testing.assert_close(model(features), expected)


def test_invariant_to_lengths_and_bounded_by_the_scale():
    model, features = head("random"), torch.randn(6, 4)
    logits = model(features)
    torch.testing.assert_close(model(100 * features), logits)
    with torch.no_grad():
        model.weight.mul_(torch.tensor([[3.0], [0.5], [10.0]]))
    torch.testing.assert_close(model(features), logits)
    assert logits.abs().max() <= 25


def test_class_means_start_as_unit_vectors_and_point_at_their_class():
    means = 5 * torch.randn(3, 4)
    model = head("class_mean", means)
    torch.testing.assert_close(model.weight.norm(dim=-1), torch.ones(3))
    assert model(means).argmax(-1).tolist() == [0, 1, 2]
    torch.testing.assert_close(model(means).diagonal(), torch.full((3,), 25.0))


def test_only_the_class_vectors_are_trained():
    assert [(name, value.numel()) for name, value in head("random").named_parameters()] == [("weight", 12)]


def test_a_feature_of_zeros_gives_finite_logits_and_gradients():
    model, features = head("random"), torch.zeros(2, 4, requires_grad=True)
    model(features).sum().backward()
    assert features.grad.isfinite().all()
    assert model.weight.grad.isfinite().all()
