"""What a report is about: the jobs of one or more sweep folders, as cells that can stand side by side."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from peftlab.config.summary import scalar
from peftlab.errors import UserError
from peftlab.report.cell import DATA, Cell, group_cells, has_seeds, metrics_of, varying
from peftlab.report.data import mixed
from peftlab.report.job import Job, read
from peftlab.report.metric import Metric
from peftlab.report.report import find_baseline

# choices whose value a run's summary has where nobody typed them, in the order of a label
KNOWN = {
    "dataset": "dataset",
    "backbone": "backbone",
    "peft": "peft",
    "scaling": "scaling",
    "task": "task",
    "placement.depth": "depth",
    "placement.position": "position",
    "scaling.value": "alpha",
    "peft.rank": "rank",
}
GROUPS = ("dataset", "backbone", "peft", "scaling", "task")


@dataclass(frozen=True)
class Study:
    """Cells of one or more sweeps, and the one that they are compared with.

    out: the folder of the report, if it links to the runs. seeds: some cell has several runs. claims: named beforehand, as
    `CELL > CELL @tail`.
    """

    folders: list[Path]
    out: Path | None
    cells: list[Cell]
    baseline: Cell
    seeds: bool
    claims: tuple[str, ...] = ()

    @cached_property
    def jobs(self) -> list[Job]:
        return [job for cell in self.cells for job in cell.jobs]

    @cached_property
    def metrics(self) -> list[Metric]:
        return metrics_of(self.cells)

    @cached_property
    def keys(self) -> list[str]:
        """The choices that tell cells apart."""
        return varying(self.cells)

    @cached_property
    def short(self) -> dict[str, str]:
        """Key -> what stands above its column: `depth` for placement.depth, where no other key ends so."""
        last = [key.rpartition(".")[2] for key in self.keys]
        return {
            key: name if last.count(name) == 1 else key for key, name in zip(self.keys, last, strict=True)
        }

    @cached_property
    def everywhere(self) -> dict[str, str]:
        """The choices that all cells have."""
        known = [cell.choices for cell in self.cells if cell.choices]
        first = known[0] if known else {}
        return {key: value for key, value in first.items() if all(c.get(key) == value for c in known)}

    @cached_property
    def doubts(self) -> list[str]:
        """Cells whose runs read different data."""
        return mixed(self.cells)

    def name(self, cell: Cell) -> str:
        """A cell in a picture: `0-2 q`, `lora`, or `scaling.value=4` where a number alone would say nothing."""
        own = [cell.choices[key] for key in self.keys if key in cell.choices]
        is_bare = (
            len(own) == 1 and re.fullmatch(r"[-+]?\d*\.?\d+(e[-+]?\d+)?|null|true|false", own[0]) is not None
        )
        return (cell.label(self.keys) if is_bare else " ".join(own)) or "the only cell"

    @cached_property
    def by_data(self) -> dict[str, list[Cell]]:
        """The cells that read the same data, by the choices that tell the data sets apart."""
        groups: dict[int, list[Cell]] = {}
        for cell in self.cells:
            groups.setdefault(id(cell.beside), []).append(cell)
        keys = [key for key in self.keys if key.startswith(DATA)]
        return {
            " ".join(cells[0].choices[key] for key in keys if key in cells[0].choices): cells
            for cells in groups.values()
        }

    def best(self, metric: Metric) -> Cell | None:
        """The cell with the highest mean on the test split, which describes the sweep and selects nothing."""
        found = [cell for cell in self.cells if cell.values(metric.name)]
        return max(found, key=lambda cell: cell.mean(metric.name).mean) if found else None

    def ranked(self, metric: Metric) -> list[Cell]:
        """The cells that have a number, from the highest mean down."""
        found = [cell for cell in self.cells if cell.values(metric.name)]
        return sorted(found, key=lambda cell: -cell.mean(metric.name).mean)


def read_study(
    folders: list[Path], out: Path | None, baseline: str | None, claims: tuple[str, ...] = ()
) -> Study:
    """The finished and unfinished jobs of sweep folders. A run that lies in two of them counts once.

    A choice that one typed and another did not, in another folder or in a later multirun of the same one, is filled in from what the
    run recorded, and groups that differ are choices, so that sweeps of two data sets are two data sets.

    baseline: as for `peftlab-sweep`.

    Raises: UserError for a folder that is no sweep's, a baseline that is none, and two runs of the same choices and seed.
    """
    if len({path.resolve() for path in folders}) < len(folders):
        raise UserError("a folder is named twice; legal: each sweep once")
    found = [read(folder) for folder in folders]
    once: dict[str, Job] = {}
    for jobs in found:
        for job in jobs:
            once.setdefault(str(job.result.get("run_id", job.folder.resolve())), job)
    jobs = list(_aligned(list(once.values())))
    cells = group_cells(jobs)
    return Study(folders, out, cells, find_baseline(cells, baseline), has_seeds(jobs), claims)


def _aligned(jobs: list[Job]) -> Iterator[Job]:
    typed = {key for job in jobs for key in job.choices}
    differ = {key for key in GROUPS if len({_said(job, key) for job in jobs if job.flat}) > 1}
    for job in jobs:
        filled = {key: _said(job, key) for key in KNOWN if key in typed | differ and job.flat}
        known = {key: value for key, value in filled.items() if value is not None}
        yield replace(job, choices={**known, **job.choices})


def _said(job: Job, key: str) -> str | None:
    value = job.flat.get(KNOWN[key])
    if isinstance(value, float):
        return f"{value:g}"  # as people type it
    return None if value is None else str(scalar(value))
