"""The affine head, and the nearest class mean inside it."""

import torch

from peftlab.head.linear import Linear


def head(init, means=None):
    return Linear(4, 3, means, torch.Generator().manual_seed(0), init=init)


def test_class_means_make_it_the_nearest_class_mean_classifier():
    """z_c = m_c f - |m_c|^2 / 2 = (|f|^2 - |f - m_c|^2) / 2, whatever the lengths of the means."""
    means = torch.randn(3, 4) * torch.tensor([[0.5], [1.0], [4.0]])
    features = 2 * torch.randn(200, 4)
    logits = head("class_mean", means)(features)
    distance = torch.cdist(features, means, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(
        logits, (features.square().sum(-1, keepdim=True) - distance.square()) / 2, rtol=1e-4, atol=1e-4
    )
    assert torch.equal(logits.argmax(-1), distance.argmin(-1))
    assert logits.argmax(-1).unique().numel() == 3


def test_zeros_know_nothing():
    assert not head("zeros")(torch.randn(5, 4)).any()


def test_random_has_no_bias_and_is_affine():
    model, features = head("random"), torch.randn(5, 4)
    assert not model.bias.any()
    with torch.no_grad():
        model.bias.copy_(torch.arange(3.0))
    torch.testing.assert_close(model(features), features @ model.weight.T + torch.arange(3.0))


def test_both_are_trained():
    assert {name: tuple(value.shape) for name, value in head("random").named_parameters()} == {
        "weight": (3, 4),
        "bias": (3,),
    }
