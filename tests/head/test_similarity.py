"""The scaled cosine between images and classes."""

import pytest
import torch

from peftlab.head.similarity import Similarity


def head(scale=20.0, bias=0.0, num_classes=4, **options):
    given = {"learn_scale": False, **options}
    return Similarity(8, num_classes, torch.tensor([scale, bias]), torch.Generator(), **given)


@pytest.mark.parametrize("bias", [0.0, -3.0])
def test_classes_stand_behind_the_images(bias):
    images, classes = torch.randn(3, 8), torch.randn(4, 8)
    wanted = [[20 * float(x @ w) + bias for w in classes] for x in images]
    found = head(bias=bias)(torch.cat([images, classes]))
    torch.testing.assert_close(found, torch.tensor(wanted))
    own = torch.cat([images.unsqueeze(1), classes.expand(3, 4, 8)], dim=1)  # once for each image
    torch.testing.assert_close(head(bias=bias)(own), torch.tensor(wanted))


def test_each_image_can_have_classes_of_its_own():
    images, classes = torch.randn(3, 8), torch.randn(3, 4, 8)
    found = head()(torch.cat([images.unsqueeze(1), classes], dim=1))
    torch.testing.assert_close(found, 20 * torch.einsum("bd,bcd->bc", images, classes))


def test_the_scale_is_trained_by_its_logarithm_or_not_at_all():
    assert list(head().parameters()) == []
    assert not head().state_dict()
    own = head(learn_scale=True)
    (value,) = own.parameters()
    assert value.exp().item() == pytest.approx(20.0)
    features = torch.randn(7, 8)
    torch.testing.assert_close(own(features), head()(features))
    own(features).sum().backward()
    torch.testing.assert_close(value.grad, own(features).sum().detach())  # d exp(t) / dt = exp(t)


def test_over_other_classes_it_is_the_same_head():
    own = head(learn_scale=True)
    other = own.over(2)
    assert other.log_scale is own.log_scale
    images, classes = torch.randn(3, 8), torch.randn(2, 8)
    assert other(torch.cat([images, classes])).shape == (3, 2)
    assert own(torch.randn(7, 8)).shape == (3, 4)
