"""Both versions of Hydra: no warning of ours, and under 1.4 nothing but our own targets."""

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from peftlab.config.hydra_version import BEFORE_1_4, VERSION_BASE, register_resolver, trusted_targets
from peftlab.config.multirun import Multirun


def test_a_resolver_is_registered_without_a_warning() -> None:
    """Warnings are errors here."""
    register_resolver("peftlab.test", lambda: 3, replace=True)
    assert OmegaConf.create({"a": "${peftlab.test:}"}).a == 3


def test_version_base_is_for_1_3_alone() -> None:
    assert ({"version_base": "1.3"} if BEFORE_1_4 else {}) == VERSION_BASE


def test_our_targets_are_made() -> None:
    """Callbacks and launchers are what Hydra itself makes; nothing of a run is made by it."""
    with trusted_targets():
        assert callable(instantiate({"_target_": "peftlab.optim.sgd.sgd", "_partial_": True}))
        assert type(instantiate({"_target_": "peftlab.config.multirun.Multirun"})) is Multirun


@pytest.mark.skipif(
    BEFORE_1_4, reason="Hydra 1.3 has no word for it; resolve and read_config refuse such a target"
)
def test_another_target_is_refused() -> None:
    with (
        trusted_targets(),
        pytest.raises(InstantiationException, match="is not in the Hydra execution whitelist"),
    ):
        instantiate({"_target_": "platform.node"})
