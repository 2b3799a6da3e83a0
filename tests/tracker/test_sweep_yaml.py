"""scripts/wandb_sweep.yaml: the command that `wandb agent` builds from it is one that peftlab takes."""

from itertools import product
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

SWEEP = Path(__file__).parents[2] / "scripts" / "wandb_sweep.yaml"


@pytest.fixture
def sweep():
    return yaml.safe_load(SWEEP.read_text())


def commands(sweep):
    """What the agent runs for every point of the grid, made by wandb's own code."""
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    names = list(sweep["parameters"])
    for point in product(*(sweep["parameters"][name]["values"] for name in names)):
        arguments = {name: {"value": value} for name, value in zip(names, point, strict=True)}
        parts = utils.create_sweep_command_args({"args": arguments})
        parts |= {"env": ["/usr/bin/env"], "program": [sweep["program"]]}
        command: list[str] = []
        for word in utils.create_sweep_command(sweep["command"]):
            command += parts[word[2:-1]] if word.startswith("${") else [word]
        yield command


def test_grid_of_24_peftlab_commands(sweep):
    made = list(commands(sweep))
    assert len({tuple(command) for command in made}) == 24
    parser = OverridesParser.create()
    for command in made:
        assert command[:2] == ["/usr/bin/env", "peftlab"]
        parsed = parser.parse_overrides(command[2:])
        overrides = {override.key_or_group: override.value() for override in parsed}
        assert overrides["tracker"] == "wandb"
        assert overrides["placement.position"] in ("q", "k", "v", "out", "mlp1", "mlp2")
        assert not any(override.is_sweep_override() for override in parsed)


def test_selects_on_a_validation_split_that_exists(sweep):
    assert sweep["metric"] == {"name": "val/mean_acc", "goal": "maximize"}
    assert "dataset.val_fraction=0.1" in sweep["command"]
