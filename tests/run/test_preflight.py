"""The checks that every run starts with find what they are for."""

import pytest
import torch
from fixtures.configs import TWO_TOWERS
from torch import nn

from peftlab.build.trunk import Probe
from peftlab.config.directory import config_dir
from peftlab.errors import UserError
from peftlab.loss.cross_entropy import cross_entropy
from peftlab.run.preflight import DeadTensor, preflight

MASKED = {"peft.keep_ratio": 0.1, "peft.num_samples": 6}
TWO_BLOCKS = {"peft.parts.lora.depth": 0, "peft.parts.prefix.depth": 1}
KEYS = {
    **{f"mask_{name}": MASKED for name in ("fisher", "magnitude", "heads", "neurons")},
    "mask_random": {"peft.keep_ratio": 0.1},
    "hlpt": TWO_BLOCKS,
    "h2lpt": TWO_BLOCKS,
}
METHODS = sorted({file.stem for file in (config_dir() / "peft").glob("*.yaml")} - {*TWO_TOWERS})
LABELS = torch.arange(4) % 3
LOSS = cross_entropy(torch.tensor([2, 1, 1]), label_smoothing=0.0)


def is_same(value, old):
    return torch.equal(value.nan_to_num(), old.nan_to_num())


@pytest.fixture
def check(recipe, family, adapt):
    """`check(method, scaling, break_=f)`: preflight a model after `f` did something to it."""

    def run(method, scaling="fixed", break_=None, **keys):
        backbone = family("plain")
        inputs = {"images": torch.randn(4, 3, 32, 32)}
        probe = Probe(inputs, LABELS, backbone.features(inputs))
        model, _ = adapt(recipe(method, scaling, **keys), backbone)
        if break_ is not None:
            with torch.no_grad():
                break_(model)
        before = [value.clone() for value in model.parameters()]
        try:
            assert (preflight(model.network, model.cell, probe, LOSS) == 0) == model.cell.is_identity
        finally:
            assert all(map(is_same, model.parameters(), before))
            assert all(value.grad is None for value in model.parameters())

    return run


@pytest.mark.parametrize("method", METHODS)
def test_every_method_passes(check, method):
    check(method, **KEYS.get(method, {}))


def test_a_prefix_of_numbers_that_are_none_is_found(check):
    with pytest.raises(UserError, match="differ by nan from the frozen ones"):
        check("prefix", break_=lambda model: model.deltas["0_kv"].P.fill_(float("nan")))


@pytest.mark.parametrize("scaling", ["learned", "meta"])
@pytest.mark.parametrize("granularity", ["site", "channel"])
def test_trained_gammas_pass(check, scaling, granularity):
    check("lora", scaling, **{"scaling.granularity": granularity})


@pytest.mark.parametrize("method", ["lora", "adapter_houlsby", "bitfit"])
def test_a_head_of_zeros_passes(check, method):
    check(method, head={"_target_": "peftlab.head.linear.Linear", "init": "zeros"})


def overwrite(model):
    """A model-wide init after the deltas were built (NOAH, OSU, V-PETL)."""
    for delta in model.deltas.values():
        for value in delta.parameters():
            nn.init.trunc_normal_(value, std=0.02)


@pytest.mark.parametrize("method", ["lora", "adapter_pfeiffer"])
def test_overwritten_zeros_are_found(check, method):
    with pytest.raises(UserError, match=r"differs from the frozen one by .* at the start"):
        check(method, break_=overwrite)


def test_weights_that_are_not_numbers_are_found(check):
    with pytest.raises(UserError, match="differ by nan from the frozen ones"):
        check("lora", break_=lambda model: model.deltas["0_q"].B.fill_(float("nan")))


def both_zero(model):
    """VPT's adapter baseline."""
    model.deltas["1_ffn"].down.zero_()


def test_two_zero_projections_are_found_and_named(check):
    with pytest.raises(
        DeadTensor, match=r"deltas\.1_ffn\.(down|down_bias|up) receives no gradient within 3 steps"
    ):
        check("adapter_pfeiffer", break_=both_zero)


@pytest.mark.parametrize("value", [0.0, 1e6])
def test_an_extreme_alpha_is_the_user_s_choice(check, value):
    check("lora", **{"scaling.value": value})


def ignore_gamma(model):
    """MetaPEFT's release: a constant acts where the learned value should."""
    model.gamma.scales = lambda: {site: torch.tensor(1.0) for site in model.sites}


def test_a_gamma_that_nothing_uses_is_found(check):
    with pytest.raises(DeadTensor, match=r"gamma\.raw receives no gradient"):
        check("lora", "meta", break_=ignore_gamma)


def test_dropout_of_everything_is_a_wrong_input(check):
    with pytest.raises(
        UserError, match=r"^peft\.dropout=1\.0 is not legal; legal: a number from 0 to below 1"
    ):
        check("lora", **{"peft.dropout": 1.0})


def test_a_backbone_that_would_train_is_found(check, family):
    try:
        with pytest.raises(DeadTensor, match=r"the backbone's norm\.bias is not frozen"):
            check("lora", break_=lambda model: model.backbone.norm.bias.requires_grad_(True))
    finally:
        family("plain").model.requires_grad_(False)
