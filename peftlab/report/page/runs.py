"""Section: every run, with its numbers, its costs and a link to its folder."""

import os
import re
from math import nan
from pathlib import Path

from peftlab.config.summary import num_trained
from peftlab.report.job import Job
from peftlab.report.job import number as number_of
from peftlab.report.page.parts import Column, Entry, Section, Table, number, words
from peftlab.report.page.study import Study


def section(study: Study) -> Section | None:
    """One row a run, in the order of the sweep."""
    columns = [
        Column("run", is_number=False),
        *(Column(study.short[key], is_number=False) for key in study.keys),
        Column("seed"),
        Column("state", is_number=False),
        *(Column(metric.label, metric.unit) for metric in study.metrics),
        Column("trained"),
        Column("time", "s"),
        Column("step", "ms"),
        Column("memory", "MiB"),
    ]
    rows = [_row(study, job) for job in study.jobs]
    if any(job.error for job in study.jobs):
        after = [column.name for column in columns].index("state") + 1
        columns.insert(after, Column("why", is_number=False))
        for row, job in zip(rows, study.jobs, strict=True):
            row.insert(after, words(job.error))
    table = Table(
        "runs",
        "Every run",
        columns,
        rows,
        "trained: parameters beside the head." + " A link leads to a run's folder." * (study.out is not None),
    )
    return Section("runs", "Runs", tables=[table])


def _row(study: Study, job: Job) -> list[Entry]:
    counts = job.result.get("num_parameters")
    return [
        Entry(_short(job.folder.name), link=link(job.folder, study.out) if study.out else ""),
        *(words(job.choices.get(key, "")) for key in study.keys),
        number(nan if job.seed is None else job.seed),
        words(job.state),
        *(
            number(metric.factor * job.metrics.get(f"test/{metric.name}", nan), metric.form)
            for metric in study.metrics
        ),
        number(num_trained(counts) if isinstance(counts, dict) else nan),
        number(job.wall_s),
        number(1000 * number_of(job.result.get("step_s"))),
        number(number_of(job.result.get("memory_mib"))),
    ]


def _short(name: str) -> str:
    """The hash of a run's folder, which stands at the end of its name; the rest is in the other columns."""
    found = re.search(r"[0-9a-f]{8}$", name)
    return found.group() if found else name


def link(folder: Path, out: Path) -> str:
    """A folder as a page in `out` names it."""
    from urllib.parse import quote

    return quote(Path(os.path.relpath(folder, out)).as_posix()) + "/"
