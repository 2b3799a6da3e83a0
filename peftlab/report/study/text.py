"""What is said at the end of a study: what it found on validation, what that is on test, and the command that runs it."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from peftlab.record.json_file import read_json
from peftlab.report.metric import headline
from peftlab.report.race.text import mean_text
from peftlab.report.study.study import OK, Study


def outcome(study: Study, folders: Sequence[Path]) -> list[str]:
    """The lines for the terminal. `folders` are those of the best trial."""
    count = Counter(trial["state"] for trial in study.trials)
    states = ", ".join(f"{number} {state}" for state, number in sorted(count.items()))
    lines = [f"study: {len(study.trials)} trials by {study.options.sampler} ({states})"]
    if study.best is None:
        return [*lines, "best: none yet, no trial has a value on validation"]
    trial = study.trials[study.best]
    params = " ".join(f"{key}={value}" for key, value in trial["params"].items())
    results = [read_json(folder / "result.json") for folder in folders]
    test = (
        ", ".join(mean_text(metric, results) for metric in headline(results)) if all(results) else "not yet"
    )
    many = f"(the highest of {count[OK]}, so rather too high)" if count[OK] > 1 else ""
    return [
        *lines,
        f"best on validation: trial {study.best}, {params}: {study.options.metric} {trial['value']:.4f} {many}".rstrip(),
        f"its test: {test} (n = {len(results)}); no other trial was tested",
        f"to run it: {command(study, study.best)}",
    ]


def command(study: Study, number: int) -> str:
    """The one command that runs a trial, for a shell."""
    jobs = study.words(number)
    words = (
        jobs[0]
        if len(jobs) == 1
        else [*jobs[0][:-1], f"seed={','.join(job[-1].partition('=')[2] for job in jobs)}"]
    )
    return shlex.join(["peftlab", *(["-m"] if len(jobs) > 1 else []), *words])
