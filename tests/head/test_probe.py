"""Fitted heads: the gradient by hand in float64, and scikit-learn's and scipy's minima."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from peftlab.head import probe
from peftlab.head.cosine import Cosine
from peftlab.head.linear import Linear

NUM_CLASSES, WIDTH, SCALE = 3, 5, 4.0


@pytest.fixture
def data():
    """Classes of 40, 15 and 5 items that overlap, far from the origin."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.repeat_interleave(torch.arange(NUM_CLASSES), torch.tensor([40, 15, 5]))
    centres = torch.randn(NUM_CLASSES, WIDTH, generator=rng)
    return (3 + centres[labels] + torch.randn(60, WIDTH, generator=rng)), labels


def means(features, labels):
    return torch.stack([features[labels == c].mean(0) for c in range(NUM_CLASSES)])


def head(kind, start, init, **more):
    return kind(WIDTH, NUM_CLASSES, start, torch.Generator(), init=init, **more)


def test_an_affine_head_is_where_the_gradient_is_zero_and_where_scikit_learn_ends(data):
    features, labels = data
    found = head(Linear, means(*data), "class_mean").fitted(*data)
    assert found.dtype == torch.float64
    weight, bias, x = found[:, :-1], found[:, -1], features.double()
    error = (x @ weight.T + bias).softmax(-1) - F.one_hot(labels)
    torch.testing.assert_close(error.T @ x / 60 + weight / 60, torch.zeros_like(weight), atol=1e-6, rtol=0)
    torch.testing.assert_close(error.mean(0), torch.zeros_like(bias), atol=1e-6, rtol=0)
    other = LogisticRegression(tol=1e-10, max_iter=10_000).fit(x.numpy(), labels.numpy())
    np.testing.assert_allclose(weight.numpy(), other.coef_, atol=1e-5)
    expected = other.predict_proba(x.numpy())
    np.testing.assert_allclose((x @ weight.T + bias).softmax(-1).numpy(), expected, atol=1e-5)


def test_a_cosine_head_is_fitted_under_its_scale_and_its_normalisation(data):
    features, labels = data
    found = head(Cosine, means(*data), "class_mean", scale=SCALE).fitted(*data)
    x, y = features.double().numpy(), labels.numpy()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)

    def value(flat):
        w = flat.reshape(NUM_CLASSES, WIDTH)
        z = SCALE * unit @ (w / np.linalg.norm(w, axis=1, keepdims=True)).T
        return np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(60), y])

    flat = found.numpy().ravel()
    step = 1e-5 * np.eye(flat.size)
    slope = [(value(flat + one) - value(flat - one)) / 2e-5 for one in step]
    np.testing.assert_allclose(slope, 0, atol=1e-7)
    other = minimize(value, means(*data).double().numpy().ravel(), method="BFGS", options={"gtol": 1e-7})
    expected = torch.from_numpy(other.x.reshape(NUM_CLASSES, WIDTH))
    torch.testing.assert_close(F.normalize(found), F.normalize(expected), atol=1e-4, rtol=0)
    assert value(flat) < value(means(*data).double().numpy().ravel()) - 0.01


def test_a_head_that_starts_from_it_is_the_fitted_one(data):
    features, _ = data
    for kind, more in ((Linear, {}), (Cosine, {"scale": SCALE})):
        fitted = head(kind, means(*data), "class_mean", **more)
        start = fitted.fitted(*data).float()
        made = head(kind, start, "linear_probe", **more)
        assert made.weight.shape == (NUM_CLASSES, WIDTH)
        # of the affine head the inputs of the fit were around 0
        expected = fitted(features.double() - (features.double().mean(0) if kind is Linear else 0))
        torch.testing.assert_close(made(features).double(), expected, atol=1e-4, rtol=0)
        assert made.weight.data_ptr() != start.data_ptr(), (
            "a start is shared by all runs, and a head is trained"
        )


def test_one_that_a_saved_head_replaces_is_zeros():
    for kind, more in ((Linear, {}), (Cosine, {"scale": SCALE})):
        assert not any(value.any() for value in head(kind, None, "linear_probe", **more).parameters())


def test_it_is_the_same_each_time_and_draws_nothing(data):
    state = torch.get_rng_state()
    one, two = (head(Linear, means(*data), "class_mean").fitted(*data) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(state, torch.get_rng_state())


def test_a_fit_that_does_not_converge_says_so(data, monkeypatch):
    monkeypatch.setattr(probe, "MAX_STEPS", 1)
    with pytest.raises(
        ArithmeticError,
        match=r"^head\.init=linear_probe: after 1 steps an entry of the gradient is still .*legal: ",
    ):
        head(Linear, means(*data), "class_mean").fitted(*data)
