"""Kill runs and sweeps in many ways, start the same command again, and compare with one that nobody disturbed.

    python scripts/faults.py --rounds 40 --out faults.json

A round takes one command and one kind of fault: SIGKILL, SIGTERM or SIGINT at a random time or as soon as a file of the
run appears or changes, up to three times; a second process that writes the same folder; a file that may not grow (a
full disk). Then the same command runs undisturbed. It must end with exit code 0, and every run folder with the weights,
the rows and the metrics, bit for bit, of the undisturbed one, without a half-written file. Every random choice is a
function of --seed and the round. Processes are forked from one that has imported torch: nothing of it has been used.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TINY = ("backbone=tiny", "device=cpu", "fit.epochs=3", "fit.batch_size=64", "optim.lr=0.1")
COMMANDS = {
    "lora": (*TINY,),
    "meta": (*TINY, "scaling=meta", "scaling.outer.every=2", "scaling.outer.warmup=2", "fit.select=best"),
    "mask": (*TINY, "peft=mask_fisher", "peft.keep_ratio=0.2"),
    "sweep": ("-m", *TINY, "peft.rank=2,4"),
    "fused": ("-m", "hydra/launcher=fused", *TINY, "placement.depth=0,1", "peft.rank=2,4"),
    "fused_meta": (
        *("-m", "hydra/launcher=fused", *TINY, "placement.depth=0,1", "fit.select=best"),
        *("scaling=meta", "scaling.outer.every=2", "scaling.outer.warmup=2"),
    ),
    "race": ("-m", "hydra/sweeper=racing", *TINY, "dataset.val_fraction=0.2", "peft.rank=1,2,4,8"),
    "noah": (
        *TINY,
        "experiment=noah",
        "placement.limit=2000",
        "placement.generations=2",
        "placement.epochs=2",
    ),
}
FAULTS = ("kill", "terminate", "interrupt", "two writers", "full disk")
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}
FILES = (  # a kill comes when one of these appears or changes
    *(
        "status.json",
        "config.yaml",
        "metrics.jsonl",
        "last/state.pt",
        "last/.state.pt.*",
        "search/evaluated.jsonl",
    ),
    *(
        "adapter.safetensors",
        ".adapter.safetensors.*",
        "per_class.csv",
        "predictions.csv",
        "result.json",
        "supernet/last/state.pt",
    ),
)
PATIENCE_S = 300
Facts = dict[str, Any]


def start(words: tuple[str, ...], place: Path, log: Path, max_bytes: int | None = None) -> int:
    """`peftlab WORDS` in `place` as another process: its pid. No file of it may be larger than `max_bytes`."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.chdir(place)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if max_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
        from peftlab.command.train import main

        sys.argv = ["peftlab", *words]
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        sys.stdout.flush()
    finally:
        os._exit(code)


def wait(pid: int, patience_s: float = PATIENCE_S) -> int:
    """The exit code of a process, negative for a signal; one that does not end is killed."""
    until = time.monotonic() + patience_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Whether a child of ours still runs; it stays for `wait`."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def moment(place: Path, whole_s: float, draw: random.Random, undisturbed: Path) -> Callable[[], bool]:
    """When the kill comes: at a random time, or when a file appears or changes that the undisturbed run has, too."""
    if draw.random() < 0.4:
        until = time.monotonic() + draw.uniform(0, whole_s)
        return lambda: time.monotonic() > until
    names = [name for name in FILES if name.endswith(".*") or any(undisturbed.rglob(name))]
    pattern = draw.choice(names)
    skipped = (
        draw.randrange(6) if pattern == "metrics.jsonl" else draw.randrange(2) if "state.pt" in pattern else 0
    )

    def stamps() -> set[tuple[str, int]]:
        found = set()
        for path in place.rglob(pattern.rpartition("/")[2]):
            try:
                if path.match(pattern):
                    found.add((str(path), path.stat().st_mtime_ns))
            except FileNotFoundError:
                continue
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
    for path in sorted(place.rglob("result.json")):
        folder = path.parent
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        weights = load_file(folder / "adapter.safetensors")
        found[folder.name] = {
            "state": json.loads((folder / "status.json").read_text())["state"],
            "metrics": json.loads(path.read_text())["metrics"],
            "rows": [{key: value for key, value in row.items() if key != "attempt"} for row in rows],
            "weights": {name: np.ascontiguousarray(value).tobytes().hex() for name, value in weights.items()},
        }
    return found


def leftovers(place: Path) -> list[str]:
    """Half-written files of killed writers."""
    return [path.name for path in place.rglob(".*") if path.name.rpartition(".")[2].isdecimal()]


def disturb(fault: str, name: str, place: Path, whole_s: float, draw: random.Random) -> Counter[str]:
    """Start the command and do it this harm; what happened."""
    words = COMMANDS[name]
    log, said = place / "log.txt", Counter[str]()
    if fault == "full disk":
        said[f"exit {wait(start(words, place, log, draw.choice((500, 5_000, 20_000, 60_000))))}"] += 1
        return said
    if fault == "two writers":
        first = start(words, place, log)
        time.sleep(draw.choice((0, draw.uniform(0, whole_s))))
        second = start(words, place, log)
        if draw.random() < 0.5:
            time.sleep(draw.uniform(0, whole_s / 2))
            os.kill(second, signal.SIGINT)
        for pid in (first, second):
            said[f"exit {wait(pid)}"] += 1
        return said
    for _ in range(draw.choice((1, 1, 2, 3))):
        is_now = moment(place, whole_s, draw, place.parent / name)
        pid = start(words, place, log)
        while is_alive(pid) and not is_now():
            time.sleep(0.001)
        said["killed" if is_alive(pid) else "too late"] += 1
        os.kill(pid, SIGNALS[fault])
        wait(pid)
    return said


def rounds(number: int, seed: int, commands: list[str]) -> dict[str, Any]:
    """All rounds; what they found."""
    began, wrong, told = time.time(), [], Counter[str]()
    by_fault: dict[str, Counter[str]] = {fault: Counter() for fault in FAULTS}
    with tempfile.TemporaryDirectory(prefix="faults-") as scratch:
        whole: dict[str, tuple[Facts, float]] = {}
        for index in range(number):
            draw = random.Random(f"{seed}/{index}")
            name, fault = (
                commands[index % len(commands)],
                FAULTS[(index // len(commands) + index) % len(FAULTS)],
            )
            if name not in whole:
                place, since = Path(scratch, name), time.monotonic()
                place.mkdir()
                code = wait(start(COMMANDS[name], place, place / "log.txt"))
                assert code == 0, (place / "log.txt").read_text(errors="replace")
                whole[name] = facts(place), time.monotonic() - since
            place = Path(scratch, f"round{index}")
            place.mkdir()
            happened = disturb(fault, name, place, whole[name][1], draw)
            parts = leftovers(place)
            code = wait(start(COMMANDS[name], place, place / "log.txt"))
            found, text = facts(place), (place / "log.txt").read_text(errors="replace")
            faults = [
                *([f"exit code {code}"] if code else []),
                *([] if found == whole[name][0] else ["another result"]),
                *(["half-written files"] if leftovers(place) else []),
                *(["a traceback"] if "Traceback" in text else []),
            ]
            told["half-written files, which the next start removed"] += len(parts)
            by_fault[fault].update(happened + Counter(rounds=1))
            print(
                f"round {index}: {name}, {fault}, {dict(happened)}: {', '.join(faults) or 'the same'}",
                flush=True,
            )
            if faults:
                wrong.append(
                    {"round": index, "command": name, "fault": fault, "wrong": faults, "log": text[-3000:]}
                )
            shutil.rmtree(place)
    return {
        "rounds": number,
        "seed": seed,
        "wrong": wrong,
        "by_fault": {fault: dict(count) for fault, count in by_fault.items() if count},
        **told,
        "seconds": round(time.time() - began, 1),
    }


def main() -> int:
    """0 if every round ended as if nothing had happened, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--out", type=Path, help="the summary as JSON")
    words = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for module in ("matplotlib", "sklearn.datasets", "timm", "torchvision", "peftlab.search.stages"):
        __import__(module)  # once, and not in every process
    found = rounds(words.rounds, words.seed, words.commands)
    print(json.dumps(found, indent=1))
    if words.out is not None:
        words.out.write_text(json.dumps(found, indent=1) + "\n")
    return int(bool(found["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
