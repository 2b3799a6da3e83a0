"""scripts/wandb_sweep.yaml: the command that `wandb agent` builds from it is one that peftlab takes, and runs for the agent."""

import os
import subprocess
import sys
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


SMALL = (
    "dataset=digits_lt",
    "backbone=tiny",
    "backbone.depth=12",
    "backbone.model_args.depth=12",
    "device=cpu",
)


@pytest.mark.slow
def test_a_run_of_the_agent_is_the_agent_s(sweep, clean_env, tmp_path, read_run):
    """Its id, sweep and project come from the agent's environment, and the metric of the sweep is one number."""
    config_util = pytest.importorskip("wandb.sdk.lib.config_util")
    command = next(commands(sweep))[2:]
    parameters = dict(
        word.partition("=")[::2] for word in command if word.partition("=")[0] in sweep["parameters"]
    )
    path = clean_env / "wandb" / "sweep-s1" / "config-agent1.yaml"
    path.parent.mkdir(parents=True)
    config_util.save_config_file_from_dict(
        str(path), {key: {"value": value} for key, value in parameters.items()}
    )
    agent = {
        "SWEEP_ID": "s1",
        "RUN_ID": "agent1",
        "PROJECT": "lab",
        "ENTITY": "team",
        "SWEEP_PARAM_PATH": str(path),
    }
    env = {**os.environ, **{f"WANDB_{name}": value for name, value in agent.items()}, "WANDB_MODE": "offline"}
    words = [*command, *SMALL, "fit.epochs=1", "fit.batch_size=64", f"hydra.run.dir={tmp_path / 'run'}"]
    env |= {"PYTHONPATH": str(SWEEP.parents[1]), "TMPDIR": str(clean_env)}
    done = subprocess.run(
        [sys.executable, "-m", "peftlab.command.train", *words],
        env=env,
        cwd=clean_env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "wandb" not in done.stderr
    read = read_run(tmp_path / "run")
    assert (read.run.run_id, read.run.sweep_id) == ("agent1", "s1")
    assert (read.run.project, read.run.entity, read.exit_code) == ("lab", "team", 0)
    assert isinstance(read.summary[sweep["metric"]["name"]], float)
    assert read.metrics["val/tail_acc"] == ("epoch", "last", "max")
    assert (read.config["depth"], read.config["position"], read.config["peft"]) == ("0-2", "q", "lora")
    assert read.config["config"]["dataset"]["val_fraction"] == 0.1
