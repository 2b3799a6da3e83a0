"""Do harm to runs and sweeps on every engine, start the same command again, and compare with one that nobody disturbed.

    python scripts/faults.py --rounds 50 --out faults.json

A round takes one command and one kind of fault: SIGKILL, SIGTERM or SIGINT at a random time or as soon as a file of a run
appears or changes, half-written ones included, up to three times, to the command, to one of its workers (a process of
`local`, a rank, a job of Slurm, a task of Ray) or to all of them at once; a second process that runs the same command; a file
that may not grow (a full disk). Then the same command runs undisturbed; if it is told that another process still
writes a folder, it is given once more. It must end with exit code 0, and every run folder with the state, the weights, the
rows and the metrics, bit for bit, of the undisturbed command, which for all but torchrun is that of a sweep in one process.
No half-written file, process, lock or temporary file may be left. Every random choice is a function of --seed, the engine and
the round. With --out what was found is written after each round, and the same command goes on from there. Commands are forked
from a process that has imported torch: nothing of it has been used.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TINY = ("backbone=tiny", "device=cpu", "fit.epochs=3", "fit.batch_size=64", "optim.lr=0.1")
META = ("scaling=meta", "scaling.outer.every=2", "scaling.outer.warmup=2", "fit.select=best")
GRID = ("-m", *TINY, "placement.depth=0,1", "peft.rank=2,4")
PAIR = ("-m", *TINY, "peft.rank=2,4")
RACE = ("-m", "hydra/sweeper=racing", *TINY, "dataset.val_fraction=0.2", "peft.rank=1,2,4,8")
SEARCH = ("placement.limit=2000", "placement.generations=2", "placement.epochs=2")
FAULTS = ("kill", "terminate", "interrupt", "two writers", "full disk")
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}
TARGETS = ("command", "worker", "all")
FILES = (  # a kill comes when one of these appears or changes
    *("status.json", "config.yaml", "metrics.jsonl", "last/state.pt", "last/.state.pt.*"),
    *(
        "search/evaluated.jsonl",
        "adapter.safetensors",
        ".adapter.safetensors.*",
        "per_class.csv",
        "predictions.csv",
    ),
    *("result.json", "supernet/last/state.pt", "race.json"),
)
PATIENCE_S, GRACE_S = 300, 30  # for a command, and for what it leaves to end by itself
BUSY = "is being written by"
Facts = dict[str, Any]


@dataclass(frozen=True)
class Engine:
    """Its commands by name, the words that choose it, and how its workers are known by their command lines."""

    commands: dict[str, tuple[str, ...]]
    words: tuple[str, ...] = ()
    worker: str | None = None
    faults: tuple[str, ...] = FAULTS
    is_exact: bool = True  # with the numbers of one process, bit for bit


LOCAL = ("hydra/launcher=local", "hydra.launcher.workers=2")
SLURM = ("hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1")
ENGINES = {
    "separate": Engine(
        {
            "lora": TINY,
            "meta": (*TINY, *META),
            "mask": (*TINY, "peft=mask_fisher", "peft.keep_ratio=0.2"),
            "sweep": PAIR,
            "noah": (*TINY, "experiment=noah", *SEARCH),
        }
    ),
    "fused": Engine(
        {"grid": GRID, "grid_meta": (*GRID, *META), "race": RACE, "race_meta": (*RACE, *META)},
        ("hydra/launcher=fused",),
    ),
    "race": Engine({"race": RACE, "race_meta": (*RACE, *META)}),
    "local": Engine(
        {"grid": GRID, "grid_meta": (*GRID, *META), "race": RACE}, LOCAL, worker="peftlab.engine.worker"
    ),
    "torchrun": Engine(
        {"pair": PAIR, "pair_meta": (*PAIR, *META), "race": RACE}, worker="-u -m peftlab", is_exact=False
    ),
    "slurm": Engine(
        {"pair": PAIR, "pair_meta": (*PAIR, *META), "race": RACE},
        SLURM,
        "submitit.core._submit",
    ),
    "ray": Engine(
        {"pair": PAIR, "pair_meta": (*PAIR, *META), "race": RACE},
        ("hydra/launcher=ray",),
        worker="ray::_run_job",
        faults=FAULTS[:4],  # a Ray that may write no file does not start
    ),
}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "peftlab")


class Harm:
    """One engine under one command: how it is started, found and compared. `env` is what it needs of a cluster."""

    def __init__(self, name: str, command: str, env: dict[str, str]) -> None:
        self.name, self.command, self.env, self.engine = name, command, env, ENGINES[name]
        self.words = (*self.engine.commands[command], *self.engine.words)
        if name == "ray":
            self.words = (*self.words, f"hydra.launcher.ray.init.address={env['RAY_ADDRESS']}")

    def start(self, place: Path, max_bytes: int | None = None) -> int:
        """The command in `place` as another process: its pid. No file of it may be larger than `max_bytes`."""
        (place / "tmp").mkdir(exist_ok=True)
        words = [sys.executable, *TORCHRUN, *self.words] if self.name == "torchrun" else None
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL if words else signal.default_int_handler)
            os.environ |= {**self.env, "TMPDIR": str(place / "tmp"), "PEFTLAB_FAULTS": str(place)}
            tempfile.tempdir = None
            os.chdir(place)
            out = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1)
            os.dup2(out, 2)
            if max_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
            if words is not None:
                os.execv(words[0], words)
            code = run_main(self.words)
        finally:
            os._exit(code)

    def workers(self, place: Path) -> list[int]:
        """What works for the command of this place now, however it was started."""
        if self.engine.worker is None:
            return []
        told = [(pid, line) for pid, line in processes() if self.engine.worker in line]
        return [pid for pid, line in told if self.name == "ray" or belongs(pid, place)]

    def left(self, place: Path) -> list[str]:
        """What still runs."""
        ours = [line for pid, line in processes() if belongs(pid, place)]
        return ours or (["a task of Ray"] * len(self.workers(place)) if self.name == "ray" else [])


def run_main(words: tuple[str, ...]) -> int:
    """The exit code of `peftlab WORDS` in this process, after its last words."""
    import atexit

    from peftlab.command.train import main

    atexit._clear()  # what stands there is that of the process we were forked from
    sys.argv = ["peftlab", *words]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    atexit._run_exitfuncs()  # as at the end of an interpreter: a launcher closes its workers there
    sys.stdout.flush()
    return code


def processes() -> Iterator[tuple[int, str]]:
    """Every process with its command line."""
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if line:  # else it has ended, and waits for its parent
                    yield int(path.name), line.strip()


def belongs(pid: int, place: Path) -> bool:
    """Whether a process was started, in any way, by the command of this place."""
    with suppress(OSError):
        return f"PEFTLAB_FAULTS={place}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def wait(pid: int, patience_s: float = PATIENCE_S) -> int:
    """The exit code of a process, negative for a signal; one that does not end is killed.

    Patience is counted in naps, not by the clock: all of us may be stopped for a while (SIGSTOP).
    """
    naps = 0
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        naps += 1
        if naps * 0.005 > patience_s:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether a child of ours still runs; it stays for `wait`."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def moment(place: Path, whole_s: float, draw: random.Random, undisturbed: Path) -> Callable[[], bool]:
    """When the harm comes: at a random time, or when a file appears or changes that the undisturbed command has, too."""
    if draw.random() < 0.3:
        until = time.monotonic() + draw.uniform(0, whole_s)
        return lambda: time.monotonic() > until
    names = [name for name in FILES if name.endswith(".*") or any(undisturbed.rglob(name))]
    pattern = draw.choice(names)
    skipped = (
        draw.randrange(6) if pattern == "metrics.jsonl" else draw.randrange(2) if "state.pt" in pattern else 0
    )

    def stamps() -> set[tuple[str, int]]:
        found = set()
        for folder, _, names in os.walk(place):  # rglob fails where a folder goes while it looks
            for path in (Path(folder, name) for name in names):
                with suppress(FileNotFoundError):
                    if path.match(pattern):
                        found.add((str(path), path.stat().st_mtime_ns))
        return found

    seen, left = stamps(), [skipped]

    def is_now() -> bool:
        new = stamps() - seen
        if new:
            seen.update(new)
            left[0] -= 1
        return left[0] < 0

    return is_now


def facts(place: Path) -> Facts:
    """What every run folder ended with: state, metrics, rows without the attempt, weights."""
    import numpy as np
    from safetensors.numpy import load_file

    found = {}
    for path in sorted((place / "outputs").rglob("status.json")):
        folder, weights = path.parent, {}
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        ended = (folder / "result.json").is_file()
        if ended:
            weights = load_file(folder / "adapter.safetensors")
        found[folder.name] = {
            "state": json.loads(path.read_text())["state"],
            "metrics": json.loads((folder / "result.json").read_text())["metrics"] if ended else None,
            "rows": [{key: value for key, value in row.items() if key != "attempt"} for row in rows],
            "weights": {name: np.ascontiguousarray(value).tobytes().hex() for name, value in weights.items()},
        }
    return found


def different(found: Facts, wanted: Facts) -> list[str]:
    """In which runs, and in what of them."""
    return [
        f"another {key} of {name}"
        for name in sorted(found.keys() | wanted.keys())
        for key in ("state", "metrics", "rows", "weights")
        if found.get(name, {}).get(key) != wanted.get(name, {}).get(key)
    ]


def half_written(place: Path) -> list[str]:
    """Half-written files of killed writers."""
    return [path.name for path in place.rglob(".*") if path.name.rpartition(".")[2].isdecimal()]


def left_over(place: Path) -> list[str]:
    """Locks that somebody holds, and what lies in the folder for temporary files, but for the devices' locks."""
    from peftlab.record.lock import is_locked

    locked = [path.parent.name for path in (place / "outputs").rglob("status.json") if is_locked(path.parent)]
    others = (f"peftlab-{os.getuid()}", "torchelastic_")  # torchrun's own, which its kill leaves
    files = [path.name for path in (place / "tmp").iterdir() if not path.name.startswith(others)]
    return [*(f"the lock of {name}" for name in locked), *(f"tmp/{name}" for name in sorted(files))]


def aim(harm: Harm, pid: int, place: Path, target: str) -> list[int]:
    """The processes that are hit, among them the command unless a worker alone is; none where there is no worker any more."""
    if target == "command":
        return [pid]
    workers = harm.workers(place)
    while target == "worker" and not workers and is_alive(pid):
        time.sleep(0.01)
        workers = harm.workers(place)
    return [pid, *workers] if target == "all" else workers[:1]


def signalled(harm: Harm, fault: str, place: Path, draw: random.Random, whole: tuple[float, Path]) -> str:
    """Start the command and send it, or what works for it, a signal; what happened."""
    target = draw.choice(TARGETS) if harm.engine.worker else "command"
    is_now = moment(place, whole[0], draw, whole[1])
    pid = harm.start(place)
    while is_alive(pid) and not is_now():
        time.sleep(0.002)
    hit = aim(harm, pid, place, target) if is_alive(pid) else []
    draw.shuffle(hit)
    told = 0
    for one in hit:
        with suppress(ProcessLookupError):
            os.kill(one, SIGNALS[fault])
            told += 1
    wait(pid)
    return f"to {target}" if told else "too late"


def disturb(
    harm: Harm, fault: str, place: Path, draw: random.Random, whole: tuple[float, Path]
) -> Counter[str]:
    """Start the command and do it this harm; what happened."""
    said = Counter[str]()
    if fault == "full disk":
        code = wait(harm.start(place, draw.choice((500, 5_000, 20_000, 60_000))))
        return Counter([f"exit {code}"])
    if fault != "two writers":
        for _ in range(draw.choice((1, 1, 2, 3))):
            said[signalled(harm, fault, place, draw, whole)] += 1
        return said
    first = harm.start(place)
    time.sleep(draw.choice((0, draw.uniform(0, whole[0]))))
    second = harm.start(place)
    if draw.random() < 0.5:
        time.sleep(draw.uniform(0, whole[0] / 2))
        os.kill(second, signal.SIGINT)
    for pid in (first, second):
        said[f"exit {wait(pid)}"] += 1
    return said


def gone(harm: Harm, place: Path, patience_s: float) -> list[str]:
    """What still runs after a time in which it may end by itself."""
    naps = 0
    while (left := harm.left(place)) and naps * 0.1 < patience_s:
        naps += 1
        time.sleep(0.1)
    return left


def again(harm: Harm, place: Path, draw: random.Random) -> tuple[int, int]:
    """The same command, undisturbed; once more while it says that another process is at work. Exit code and starts."""
    if draw.random() < 0.5:
        gone(harm, place, GRACE_S)
    starts, code, is_told = 0, 1, True
    while code and is_told and starts < 5:
        starts += 1
        before = (place / "log.txt").stat().st_size
        code = wait(harm.start(place))
        said = (place / "log.txt").read_bytes()[before:].decode(errors="replace")
        is_told = BUSY in said or "another sweep has" in said
        gone(harm, place, GRACE_S if code and is_told else 0)
    return code, starts


def undisturbed(harm: Harm, scratch: Path) -> tuple[Facts, float, Path]:
    """What the command gives, in how many seconds, and where; compared with a sweep in one process."""
    place, since = scratch / f"{harm.name}-{harm.command}", time.monotonic()
    place.mkdir()
    code = wait(harm.start(place))
    took = time.monotonic() - since
    assert code == 0, (place / "log.txt").read_text(errors="replace")
    found = facts(place)
    if harm.engine.words and harm.engine.is_exact:
        one = Harm("separate", "sweep", {})
        one.words, other = harm.engine.commands[harm.command], scratch / f"one-{harm.name}-{harm.command}"
        other.mkdir()
        assert wait(one.start(other)) == 0, (other / "log.txt").read_text(errors="replace")
        assert not (wrong := different(found, facts(other))), wrong
    return found, took, place


def one_round(harm: Harm, fault: str, place: Path, draw: random.Random, whole: Any) -> dict[str, Any]:
    """What happened, and what is wrong."""
    place.mkdir()
    wanted, took, there = whole
    happened = disturb(harm, fault, place, draw, (took, there))
    parts = len(half_written(place))
    code, starts = again(harm, place, draw)
    running = gone(harm, place, GRACE_S)
    text = (place / "log.txt").read_text(errors="replace")
    wrong = [
        *([f"exit code {code}"] if code else []),
        *different(facts(place), wanted),
        *(f"left: {name}" for name in [*half_written(place), *left_over(place), *running]),
        *(["a traceback"] if "Traceback" in text and harm.engine.worker is None else []),
    ]
    found = {"happened": dict(happened), "half_written": parts, "starts": starts, "wrong": wrong}
    end_all(f"PEFTLAB_FAULTS={place}\0")
    return found | ({"log": text[-6000:]} if wrong else {})


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder for rounds. With it end all processes that were started in it."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as scratch:
        try:
            yield scratch
        finally:
            end_all(f"PEFTLAB_FAULTS={scratch}/")


def end_all(mark: str) -> None:
    """SIGKILL for every process with this in its environment."""
    for pid, _ in processes():
        with suppress(OSError):
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGKILL)


def rounds(
    number: int, seed: int, harms: list[Harm], found: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The rounds of one engine that are not among those found."""
    if not harms:
        return
    done = {one["round"] for one in found if one["engine"] == harms[0].name and one["seed"] == seed}
    with scratch_folder() as scratch:
        whole: dict[str, Any] = {}
        for index in range(number):
            harm, draw = harms[index % len(harms)], random.Random(f"{seed}/{harms[0].name}/{index}")
            faults = harm.engine.faults
            fault = faults[(index // len(harms) + index % len(harms)) % len(faults)]
            if index in done:
                continue
            if harm.command not in whole:
                whole[harm.command] = undisturbed(harm, Path(scratch))
            since, place = time.monotonic(), Path(scratch, f"round{index}")
            head = {
                "engine": harm.name,
                "seed": seed,
                "round": index,
                "command": harm.command,
                "fault": fault,
            }
            told = one_round(harm, fault, place, draw, whole[harm.command])
            yield {**head, **told, "commit": commit(), "seconds": round(time.monotonic() - since, 1)}
            shutil.rmtree(place, ignore_errors=True)


def commit() -> str:
    """Of the code that is tried."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()


def table(found: list[dict[str, Any]]) -> str:
    """By engine and fault: rounds, what was done to whom, and how many rounds ended as if nothing had happened."""
    lines = ["| engine | fault | rounds | what happened | the same result |", "|---|---|---:|---|---:|"]
    for engine in ENGINES:
        for fault in FAULTS:
            own = [one for one in found if (one["engine"], one["fault"]) == (engine, fault)]
            happened = sum((Counter(one["happened"]) for one in own), Counter[str]())
            told = ", ".join(f"{number} {name}" for name, number in sorted(happened.items()))
            same = sum(not one["wrong"] for one in own)
            lines += [f"| {engine} | {fault} | {len(own)} | {told} | {same} |"] if own else []
    return "\n".join(lines)


@contextmanager
def cluster(name: str) -> Iterator[dict[str, str]]:
    """The environment of a Slurm or a Ray that is started for these rounds; an empty one for other engines."""
    sys.path.insert(0, str(ROOT / "tests"))
    with ExitStack() as stack:
        env: dict[str, str] = {}
        if name == "slurm":
            from fixtures.slurm import slurm

            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-slurm-"))
            env = stack.enter_context(slurm(Path(place, "node")))
        if name == "ray":
            from fixtures.ray import ray

            env = stack.enter_context(ray())
        yield {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[2:]]), **env}


def main() -> int:
    """0 if every round ended as if nothing had happened, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=50, help="of each engine")
    parser.add_argument("--seed", type=int, default=0)
    engines = [name for name in ENGINES if name not in ("slurm", "ray")]
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=engines, help="slurm, ray: by name")
    parser.add_argument("--commands", nargs="+", help="of these engines; all if none is named")
    parser.add_argument("--out", type=Path, help="every round, as JSON")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # a cluster ends with us
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for module in ("matplotlib.pyplot", "sklearn.datasets", "timm", "torchvision", "peftlab.search.stages"):
        __import__(module)  # once, and not in every process
    saved = json.loads(words.out.read_text()) if words.out is not None and words.out.is_file() else []
    found: list[dict[str, Any]] = list(saved)
    for engine in words.engines:
        commands = [name for name in ENGINES[engine].commands if name in (words.commands or [name])]
        with cluster(engine if commands else "none") as env:
            for told in rounds(
                words.rounds, words.seed, [Harm(engine, name, env) for name in commands], found
            ):
                found.append(told)
                wrong = "; ".join(told["wrong"]) or "the same"
                shown = f"{engine} {told['round']}: {told['command']}, {told['fault']}, {told['happened']}"
                print(f"{shown}, {told['seconds']} s: {wrong}", flush=True)
                if words.out is not None:
                    part = words.out.with_name(f".{words.out.name}.part")
                    part.write_text(json.dumps(found, indent=1) + "\n")
                    os.replace(part, words.out)
    own = [one for one in found if one["engine"] in words.engines and one["seed"] == words.seed]
    print(table(own))
    print(json.dumps({"rounds": len(own), "wrong": [one for one in own if one["wrong"]]}, indent=1))
    return int(any(one["wrong"] for one in own))


if __name__ == "__main__":
    sys.exit(main())
