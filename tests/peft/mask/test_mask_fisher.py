"""The Fisher information of a softmax regression in closed form, and the mask that it gives."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from peftlab.backbone.backbone import Backbone
from peftlab.build.scorer import Scorer
from peftlab.inputs.batch import Batch
from peftlab.inputs.image import InputSpec
from peftlab.peft.mask.mask_fisher import MaskFisher
from peftlab.peft.weights import Weight
from peftlab.site import Site

OPTIONS = {
    "keep_ratio": 0.5,
    "num_samples": 4,
    "fisher": "empirical",
    "count_head": False,
    "outside_blocks": False,
}
GRADIENTS = [{"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([[2.0, 0.0]])},
             {"a": torch.tensor([0.0, -2.0]), "b": torch.tensor([[2.0, 1.0]])}]  # fmt: skip
# sums of squares: a 9, 5; b 8, 1


@pytest.fixture
def weights(hand_made):
    a = Weight("a", (0, 1), torch.zeros(2), Site(0, "q"))
    b = Weight("b", (0, 1), torch.zeros(1, 2), None)
    return lambda **more: hand_made([a], GRADIENTS, [b], **more)


def entries(chosen):
    return {weight.name: mask.flatten().tolist() for weight, mask in chosen}


def test_the_best_of_all_tensors_together(weights):
    chosen = MaskFisher(**{**OPTIONS, "outside_blocks": True}).choose(weights())
    assert entries(chosen) == {"a": [True, False], "b": [True, False]}


def test_without_the_weights_outside_the_blocks(weights):
    assert entries(MaskFisher(**OPTIONS).choose(weights())) == {"a": [True, True]}


def test_the_head_inside_or_outside_the_budget(weights):
    for count_head, expected in ((True, {"a": [True, False]}), (False, {"a": [True, True]})):
        assert (
            entries(MaskFisher(**{**OPTIONS, "count_head": count_head}).choose(weights(num_head=1)))
            == expected
        )


def test_only_so_many_images(weights):
    """On the first image alone b's first entry (4) is below a's first (9), and a's second is 1."""
    options = {**OPTIONS, "num_samples": 1, "keep_ratio": 0.25, "outside_blocks": True}
    assert entries(MaskFisher(**options).choose(weights())) == {"a": [True, False]}
    two = MaskFisher(**{**options, "num_samples": 2, "keep_ratio": 0.75}).choose(weights())
    assert entries(two) == {"a": [True, True], "b": [True, False]}
    one = MaskFisher(**{**options, "num_samples": 1, "keep_ratio": 0.5}).choose(weights())
    assert entries(one) == {"a": [True, False], "b": [True, False]}


def test_expected_reads_the_gradients_of_the_classes(weights):
    given = weights(
        class_gradients=lambda num: iter([{"a": torch.tensor([0.0, 1.0]), "b": torch.zeros(1, 2)}] * num)
    )
    chosen = MaskFisher(**{**OPTIONS, "fisher": "expected", "keep_ratio": 0.25}).choose(given)
    assert entries(chosen) == {"a": [False, True]}


@pytest.fixture
def regression():
    """logits = W x of 3 numbers (an image of one pixel) and 4 classes; the head is the identity."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 4, bias=False))
    model.unused = nn.Parameter(torch.ones(2))
    spec = InputSpec(1, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 1.0)
    backbone = Backbone(model, "regression", (), (), 0, {}, ("1.weight",), spec, 4, "none")
    images, labels = torch.randn(5, 3, 1, 1), torch.tensor([0, 3, 1, 1, 2])

    def batch(start, stop):
        return Batch({"images": images[start:stop]}, labels[start:stop], labels[start:stop])

    scorer = Scorer(backbone, nn.Identity(), nn.functional.cross_entropy, batch, 5)
    flat = images.flatten(1)
    p = (flat @ model[1].weight.T).softmax(-1).detach()
    return SimpleNamespace(scorer=scorer, x=flat, p=p, labels=labels)


def test_empirical_fisher_in_closed_form(regression):
    """dL/dW_ij = (p_i - [i = y]) x_j."""
    r = regression
    total = sum(gradient["1.weight"].square() for gradient in r.scorer.gradients(5))
    error = r.p - nn.functional.one_hot(r.labels, 4)
    expected = torch.einsum("ni,nj->ij", error.square(), r.x.square())
    assert torch.allclose(total, expected, rtol=1e-5, atol=1e-7)


def test_expected_fisher_in_closed_form(regression):
    """E_y (p_i - [i = y])^2 x_j^2 = p_i (1 - p_i) x_j^2."""
    r = regression
    gradients = list(r.scorer.class_gradients(5))
    assert len(gradients) == 5 * 4
    total = sum(gradient["1.weight"].square() for gradient in gradients)
    expected = torch.einsum("ni,nj->ij", r.p * (1 - r.p), r.x.square())
    assert torch.allclose(total, expected, rtol=1e-5, atol=1e-7)
    assert all(not gradient["unused"].any() for gradient in gradients)


def test_measuring_needs_no_grad_mode_and_leaves_nothing_behind(regression):
    with torch.no_grad():
        assert next(regression.scorer.gradients(1))["1.weight"].any()
        assert next(regression.scorer.class_gradients(1))["1.weight"].any()
    assert all(value.grad is None for value in regression.scorer.backbone.model.parameters())
