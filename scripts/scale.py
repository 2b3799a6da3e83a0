"""What a sweep of many cells on many devices costs: every figure computed, by a formula that is printed, from a small sweep that has ended.

    python scripts/scale.py outputs/sweep/NAME --cells 10000 --seeds 5 --devices 1000

What is measured: files, bytes, rows and seconds of a run in that folder, what an engine keeps of a job, and the time of a
report over copies of its records. What is assumed is an option, with its default from the documentation of the program.
"""

import argparse
import json
import math
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

Facts = dict[str, float]
NUM_COPIES = 300


def measured(folder: Path) -> Facts:
    """Of a run in a sweep's folder: medians."""
    runs = [path.parent for path in sorted(folder.glob("*/result.json"))]
    if not runs:
        sys.exit(f"{folder} has no run that has ended; legal: the folder of a finished sweep")
    files = [[path for path in run.rglob("*") if path.is_file()] for run in runs]
    results = [json.loads((run / "result.json").read_text()) for run in runs]
    kept = [path for path in (folder / ".submitit").rglob("*") if path.is_file()]
    return {
        "files": statistics.median(len(own) for own in files),
        "bytes": statistics.median(sum(path.stat().st_size for path in own) for own in files),
        "last_bytes": statistics.median(
            sum(path.stat().st_size for path in own if path.parent.name == "last") for own in files
        ),
        "wall_s": statistics.median(result["wall_s"] for result in results),
        "step_s": statistics.median(result["step_s"] for result in results),
        "rows": statistics.median(len((run / "metrics.jsonl").read_text().splitlines()) for run in runs),
        "engine_files": len(kept) / len(runs),
        "engine_bytes": sum(path.stat().st_size for path in kept) / len(runs),
        "report_s": report_s(runs[0]) / NUM_COPIES,
    }


def report_s(run: Path) -> float:
    """Seconds of a report over copies of the records of a run, each a cell of its own."""
    from peftlab.report.report import write_report

    status = json.loads((run / "status.json").read_text())
    with tempfile.TemporaryDirectory() as place:
        for number in range(NUM_COPIES):
            own = Path(place, f"run{number}")
            own.mkdir()
            choices = {"optim.lr": str(number // 5), "seed": str(number % 5)}
            record = {**status, "name": own.name, "choices": choices, "seed": number % 5, "number": number}
            (own / "status.json").write_text(json.dumps(record))
            for name in ("result.json", "config.yaml"):
                shutil.copy(run / name, own / name)
        began = time.perf_counter()
        write_report(place, baseline=None)
        return time.perf_counter() - began


def scaled(facts: Facts, words: argparse.Namespace) -> list[tuple[str, str, float, str]]:
    """Rows: what, formula, value, unit."""
    jobs = words.cells * words.seeds
    wall_s = words.wall_s or facts["wall_s"]
    at_once = min(jobs, words.devices)
    files, kept = facts["files"] + facts["engine_files"], facts["bytes"] + facts["engine_bytes"]
    hours = math.ceil(jobs / words.devices) * wall_s / 3600
    lost = jobs * wall_s / 3600 / words.mtbf_h
    return [
        ("jobs", "cells x seeds", jobs, ""),
        ("time of the sweep", "ceil(jobs / devices) x wall", hours, "h"),
        ("device time", "jobs x wall", jobs * wall_s / 3600, "h"),
        ("device time of a cell", "seeds x wall", words.seeds * wall_s / 60, "min"),
        ("files", "jobs x (files + the engine's)", jobs * files, ""),
        ("bytes", "jobs x (bytes + the engine's)", jobs * kept / 1e9, "GB"),
        (
            "  of them last/, which a finished run needs no more",
            "jobs x last",
            jobs * facts["last_bytes"] / 1e9,
            "GB",
        ),
        ("files made in a second", "devices x files / wall", at_once * files / wall_s, "/s"),
        ("bytes written in a second", "devices x bytes / wall", at_once * kept / wall_s / 1e6, "MB/s"),
        ("starts of jobs in a second", "devices / wall", at_once / wall_s, "/s"),
        ("Slurm: arrays", "ceil(jobs / array size)", math.ceil(jobs / words.array_size), ""),
        (
            "Slurm: commands of at most MaxJobCount jobs",
            "ceil(jobs / MaxJobCount)",
            math.ceil(jobs / words.max_jobs),
            "",
        ),
        (
            "wandb online: new runs in a second",
            f"devices / wall; limit {words.wandb_runs:g}",
            at_once / wall_s,
            "/s",
        ),
        (
            "wandb online: requests in a second",
            f"devices / {words.wandb_post_s:g} s; limit {words.wandb_requests:g}",
            at_once / words.wandb_post_s,
            "/s",
        ),
        ("report over all", "jobs x report of one", jobs * facts["report_s"], "s"),
        ("jobs that lose their node", "jobs x wall / time between failures of a node", lost, ""),
        ("  device time done again", "lost x save interval / 2", lost * words.save_s / 2 / 3600, "h"),
    ]


def main() -> int:
    """0, and a table as Markdown, or all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a finished sweep")
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--wall-s", type=float, help="seconds of a job; by default as measured in the folder")
    parser.add_argument("--array-size", type=int, default=1000, help="hydra.launcher.max_array_size")
    parser.add_argument("--max-jobs", type=int, default=10_000, help="Slurm's MaxJobCount")
    parser.add_argument("--mtbf-h", type=float, default=2000.0, help="hours between failures of one node")
    parser.add_argument("--save-s", type=float, default=60.0, help="seconds between saves (fit.save_every)")
    parser.add_argument("--wandb-runs", type=float, default=80.0, help="new runs a second and project")
    parser.add_argument(
        "--wandb-requests", type=float, default=500.0, help="filestream requests a second and project"
    )
    parser.add_argument(
        "--wandb-post-s", type=float, default=15.0, help="seconds between the requests of a run"
    )
    parser.add_argument("--json", action="store_true")
    words = parser.parse_args()
    facts = measured(words.folder)
    rows = scaled(facts, words)
    if words.json:
        print(
            json.dumps(
                {"measured": facts, "scaled": {name.strip(): value for name, _, value, _ in rows}}, indent=1
            )
        )
        return 0
    print("| measured, of one run | value |\n|---|---|")
    for name, value in facts.items():
        print(f"| {name} | {value:,.4g} |")
    print(
        f"\n| {words.cells:,} cells x {words.seeds} seeds, {words.devices:,} devices | formula | value |\n|---|---|---|"
    )
    for name, formula, number, unit in rows:
        shown = f"{number:,.0f}" if number >= 100 else f"{number:,.3g}"
        print(f"| {name} | {formula} | {shown} {unit} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
