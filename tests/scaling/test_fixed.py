"""A constant: which one, and that it is in every forward."""

import pytest
import torch

from peftlab.scaling.fixed import fixed
from peftlab.scaling.gamma import Scaled
from peftlab.site import Site


def test_nothing_is_trained():
    scaling = fixed([Scaled(Site(0, "q"), 4, 6, 0.5, 6)], value=2.0, rule="over_rank")
    assert scaling.gamma.scales()[Site(0, "q")].item() == 2.0 * 0.5 / 4
    assert not list(scaling.gamma.parameters())
    assert scaling.optimizer is scaling.outer is scaling.estimator is None


@pytest.mark.parametrize(("value", "expected"), [(None, 0.1), (1.0, 1.0), (0.3, 0.3)])
def test_the_published_scale_of_adaptformer_only_stands_in_for_no_value(
    recipe, family, adapt, value, expected
):
    model, _ = adapt(recipe("adaptformer", **{"scaling.value": value}), family("plain"))
    assert model.gamma.multiplier.tolist() == pytest.approx([expected, expected])


def test_alpha_over_rank_with_the_rank_of_each_cell(recipe, family, adapt):
    cells = {"0.q": {"rank": 2}, "0.v": {"rank": 16, "scale": 0.5}, "1.mlp1": {}}
    keys = {"scaling.value": 4.0, "scaling.rule": "over_rank", "peft.rank": 8}
    model, _ = adapt(recipe("lora", cells=cells, **keys), family("plain"))
    scales = {str(site): scale.item() for site, scale in model.gamma.scales().items()}
    assert scales == pytest.approx({"0.q": 2.0, "0.v": 0.125, "1.mlp1": 0.5})
    assert [delta.width for delta in model.deltas.values()] == [2, 16, 8]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", ["lora", "adapter_houlsby", "adapter_parallel"])
def test_alpha_and_delta_multiply(recipe, family, adapt, method, training):
    """(2 alpha, B) and (alpha, 2 B) are one function, in training and in evaluation."""
    images, logits = torch.randn(3, 3, 32, 32), []
    for value, factor in ((2.0, 0.1), (1.0, 0.2)):
        model, _ = adapt(recipe(method, **{"scaling.value": value}), family("plain"))
        with torch.no_grad():
            for delta in model.deltas.values():
                for name in ("B", "up", "up_bias"):
                    if hasattr(delta, name):
                        getattr(delta, name).fill_(factor)
        logits.append(model.train(training)(images))
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-4)
