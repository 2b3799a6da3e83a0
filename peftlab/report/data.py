"""Runs that read different data under one name: their numbers are not averaged, and not compared in silence."""

from collections.abc import Iterable

from peftlab.report.cell import Cell, varying
from peftlab.report.job import Job

DATA = "dataset.path"


def mixed(cells: list[Cell]) -> list[str]:
    """A sentence for every cell whose runs read different content, and one if cells read different data."""
    keys = varying(cells)
    told = [
        f"{cell.label(keys) or 'the only cell'}: its runs read different content at {key}"
        f" ({_who(cell.jobs, key)}), so they are not averaged; legal: resume=false runs them again"
        for cell in cells
        for key in cell.mixed
    ]
    jobs = [job for cell in cells for job in cell.jobs if job.state == "ok"]
    if not told and not any(key.startswith("dataset") for key in keys) and len({*_shas(jobs, DATA)}) > 1:
        told.append(
            f"the cells read different content at {DATA} ({_who(jobs, DATA)}); their differences say nothing"
        )
    return told


def _shas(jobs: Iterable[Job], key: str) -> list[str]:
    return [job.inputs[key] for job in jobs if key in job.inputs]


def _who(jobs: Iterable[Job], key: str) -> str:
    """One job for each content."""
    first: dict[str, str] = {}
    for job in jobs:
        if key in job.inputs:
            first.setdefault(job.inputs[key], job.folder.name)
    return ", ".join(f"{name}: {sha[:8]}" for sha, name in first.items())
