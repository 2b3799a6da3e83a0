"""Both versions of Hydra: no warning of ours, and under 1.4 nothing but our own targets."""

import hydra
import hydra.utils
import pytest
import yaml
from hydra._internal.callbacks import Callbacks
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from peftlab.config.directory import config_dir
from peftlab.config.hydra_version import BEFORE_1_4, TARGETS, VERSION_BASE, register_resolver, trusted_targets
from peftlab.config.multirun import Multirun
from peftlab.errors import UserError


def test_a_resolver_is_registered_without_a_warning() -> None:
    """Warnings are errors here."""
    register_resolver("peftlab.test", lambda: 3, replace=True)
    assert OmegaConf.create({"a": "${peftlab.test:}"}).a == 3


def test_version_base_is_for_1_3_alone() -> None:
    assert ({"version_base": "1.3"} if BEFORE_1_4 else {}) == VERSION_BASE


def test_our_callbacks_are_made() -> None:
    """Callbacks and launchers are what Hydra itself makes; nothing of a run is made by it."""
    config = yaml.safe_load((config_dir() / "config.yaml").read_text())
    assert {node["_target_"] for node in config["hydra"]["callbacks"].values()} == set(TARGETS)
    with trusted_targets():
        assert type(hydra.utils.instantiate({"_target_": "peftlab.config.multirun.Multirun"})) is Multirun


@pytest.mark.parametrize(
    "target", ["platform.node", "os.system", "peftlab.optim.sgd.sgd", "peftlab.run.run.run"]
)
@pytest.mark.parametrize("inside", [False, True])
def test_another_target_is_refused(target: str, inside: bool) -> None:
    node = {"_target_": target}
    node = {"_target_": TARGETS[0], "x": [node]} if inside else node  # type: ignore[dict-item]
    before = hydra.utils.instantiate
    with (
        trusted_targets(),
        pytest.raises((UserError, InstantiationException), match=r"none of the project's|whitelist"),
    ):
        Callbacks(OmegaConf.create({"hydra": {"callbacks": {"x": node}}}))
    assert hydra.utils.instantiate is before
