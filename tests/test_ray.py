"""A sweep on a Ray that was started on this machine gives what the same sweep gives in one process."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from fixtures.ray import ray
from fixtures.sweeps import facts, said, start, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed: pip install "peftlab[ray]"'),
]
JOBS = ("-m", "backbone=tiny", "device=cpu", "fit.batch_size=64", "fit.epochs=2", "peft.rank=2,4")


def test_a_sweep_on_ray_is_the_sweep_of_one_process(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "ray"
    assert wait(start(one, dict(os.environ), *JOBS)) == 0, said(one)
    with ray() as env:
        words = ("hydra/launcher=ray", f"hydra.launcher.ray.init.address={env['RAY_ADDRESS']}")
        assert wait(start(other, env, *JOBS, *words)) == 0, said(other)
    assert len(facts(one)) == 2
    assert facts(other) == facts(one)
