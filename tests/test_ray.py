"""A sweep on a Ray that was started on this machine gives what the same sweep gives in one process."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from fixtures.sweeps import facts, said, start, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed: pip install "peftlab[ray]"'),
]
JOBS = ("-m", "backbone=tiny", "device=cpu", "fit.batch_size=64", "fit.epochs=2", "peft.rank=2,4")


@pytest.fixture
def head() -> Iterator[dict[str, str]]:
    """The environment of a Ray of two processors, whose files lie in a folder with a short path: it makes sockets there."""
    place = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    env = {**os.environ, "PYTHONPATH": path, "RAY_TMPDIR": place, "RAY_AUTH_MODE": "disabled"}
    env |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": address}
    words = ["--head", "--node-ip-address=127.0.0.1", f"--port={address.partition(':')[2]}", "--num-cpus=2"]
    words += ["--num-gpus=0", "--include-dashboard=false", "--object-store-memory=80000000", "--block"]
    command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", *words]
    alone = {key: value for key, value in env.items() if key != "RAY_ADDRESS"}
    with Path(place, "said.txt").open("wb") as out:
        process = subprocess.Popen(command, env=alone, stdout=out, stderr=out, start_new_session=True)
    try:
        yield env
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # no `ray stop`: that ends every Ray of the machine
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(place, ignore_errors=True)


def test_a_sweep_on_ray_is_the_sweep_of_one_process(head: dict[str, str], tmp_path: Path) -> None:
    one, ray = tmp_path / "one", tmp_path / "ray"
    assert wait(start(one, dict(os.environ), *JOBS)) == 0, said(one)
    words = ("hydra/launcher=ray", f"hydra.launcher.ray.init.address={head['RAY_ADDRESS']}")
    assert wait(start(ray, head, *JOBS, *words)) == 0, said(ray)
    assert len(facts(one)) == 2
    assert facts(ray) == facts(one)
