"""Both versions of Hydra: no warning of ours, and under 1.4 nothing but our own targets."""

from pathlib import Path

import hydra
import hydra.utils
import pytest
import yaml
from hydra._internal.callbacks import Callbacks
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from peftlab.config.directory import config_dir
from peftlab.config.hydra_version import (
    BEFORE_1_4,
    TARGETS,
    VERSION_BASE,
    careful_save,
    register_resolver,
    save_waiting,
    trusted_targets,
)
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


def test_multirun_yaml_is_written_over_no_other_program_s(tmp_path: Path) -> None:
    path, ours = tmp_path / "multirun.yaml", OmegaConf.create({"hydra": {"app": "peftlab"}, "seed": 1})
    other = tmp_path / "other.yaml"
    with careful_save():
        OmegaConf.save(ours, path)  # nothing is there
        assert OmegaConf.load(path) == ours
        for changed in ({"hydra": {"app": "peftlab"}, "seed": 2}, {"hydra": {"app": "peftlab"}, "seed": 3}):
            OmegaConf.save(OmegaConf.create(changed), path)
        assert OmegaConf.load(path) == ours, "all jobs may be refused"
        save_waiting()
        assert OmegaConf.load(path).seed == 3
        path.write_text("app: another\n")
        OmegaConf.save(ours, path)
        save_waiting()
        assert path.read_text() == "app: another\n"
        OmegaConf.save(ours, other)
    assert OmegaConf.load(other) == ours
    OmegaConf.save(ours, path)  # as ever outside of it
    assert OmegaConf.load(path) == ours


def test_a_place_where_it_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    with careful_save():
        OmegaConf.save(OmegaConf.create({"a": 1}), tmp_path / "no" / "multirun.yaml")
        with pytest.raises(FileNotFoundError):
            OmegaConf.save(OmegaConf.create({"a": 1}), tmp_path / "no" / "other.yaml")
