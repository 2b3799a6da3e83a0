"""The scores of Tip-Adapter, item by item."""

import math

import pytest
import torch
from torch.nn import functional as F

from peftlab.head.similarity import Similarity
from peftlab.head.tip_adapter import TipAdapter

LABELS = torch.tensor([2, 0, 2, 3, 2])
KEYS = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=-1)


def head(**options):
    given = {"learn_scale": False, "alpha": 0.7, "beta": 5.5, "learn_keys": False, **options}
    made = TipAdapter(8, 4, torch.tensor([20.0, 0.0]), torch.Generator(), **given)
    made.keep(torch.cat([KEYS, LABELS[:, None]], dim=1))
    return made


def vectors(num, seed):
    return F.normalize(torch.randn(num, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def by_hand(images, classes, keys):
    found = torch.zeros(len(images), 4)
    for row, x in enumerate(images):
        for index, w in enumerate(classes):
            found[row, index] = 20 * float(x @ w)
        for key, label in zip(keys, LABELS.tolist(), strict=True):
            found[row, label] += 0.7 * math.exp(-5.5 * (1 - float(x @ key)))
    return found


@pytest.mark.parametrize("learn_keys", [False, True])
def test_names_and_the_items_of_each_class(learn_keys):
    images, classes = vectors(3, 1), vectors(4, 2)
    made, wanted = head(learn_keys=learn_keys), by_hand(images, classes, KEYS)
    torch.testing.assert_close(made(torch.cat([images, classes])), wanted)
    own = torch.cat([images.unsqueeze(1), classes.expand(3, 4, 8)], dim=1)
    torch.testing.assert_close(made(own), wanted)
    assert (wanted - 20 * images @ classes.T)[:, 1].abs().max() < 1e-5  # no item of this class


def test_keys_are_trained_where_that_is_asked_for():
    assert list(head().parameters()) == []
    made = head(learn_keys=True)
    (keys,) = made.parameters()
    assert torch.equal(keys, KEYS)
    made(torch.cat([vectors(3, 1), vectors(4, 2)])).square().sum().backward()
    assert (keys.grad != 0).any(dim=1).all()
    with torch.no_grad():
        keys.add_(0.1)
    images, classes = vectors(3, 1), vectors(4, 2)
    torch.testing.assert_close(
        made(torch.cat([images, classes])), by_hand(images, classes, KEYS + 0.1), rtol=1e-5, atol=1e-5
    )


def test_what_it_keeps_is_saved():
    for learn_keys in (False, True):
        assert set(head(learn_keys=learn_keys).state_dict()) == {"keys", "labels"}


def test_classes_without_items_have_their_names_alone():
    made, images, classes = head(), vectors(3, 1), vectors(2, 2)
    plain = Similarity(8, 2, torch.tensor([20.0, 0.0]), torch.Generator(), learn_scale=False)
    features = torch.cat([images, classes])
    assert torch.equal(made.over(2)(features), plain(features))
    images, classes = vectors(3, 1), vectors(4, 2)
    torch.testing.assert_close(made(torch.cat([images, classes])), by_hand(images, classes, KEYS))
