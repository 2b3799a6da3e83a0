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
    """Also in groups: one for each of the two processors, or with all of them for one task a single one."""
    one = tmp_path / "one"
    assert wait(start(one, dict(os.environ), *JOBS)) == 0, said(one)
    assert len(facts(one)) == 2
    group = ("hydra.launcher.fused=true", "hydra.launcher.ray.remote.num_cpus=2")
    with ray() as env:
        words = ("hydra/launcher=ray", f"hydra.launcher.ray.init.address={env['RAY_ADDRESS']}")
        for name, more, trunks in (("ray", (), 0), ("parts", group[:1], 0), ("group", group, 1)):
            place = tmp_path / name
            assert wait(start(place, env, *JOBS, *words, *more)) == 0, said(place)
            assert facts(place) == facts(one)
            assert said(place, 1_000_000).count("fused: 2 jobs on one trunk") == trunks, said(place)
