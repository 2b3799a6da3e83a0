"""Fixtures that several test files share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from peftlab.config.directory import config_dir
from peftlab.config.name import register_resolvers

TINY = ("backbone=tiny", "dataset=digits_lt", "fit.epochs=2", "fit.batch_size=64")


@pytest.fixture
def data_dir() -> Path:
    """The folder of real image sets: $PEFTLAB_DATA, or shared/data beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PEFTLAB_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no image sets in {folder}; PEFTLAB_DATA can name another folder")
    return folder


@pytest.fixture
def composed() -> Callable[..., dict[str, Any]]:
    """The resolved config of a command line, as plain dicts: `composed("peft=lora", "seed=1")`."""

    def make(*overrides: str) -> dict[str, Any]:
        register_resolvers()
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config: Any = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
        return config

    return make
