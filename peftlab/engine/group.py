"""Which jobs train as cells of one network, and how their groups are cut so that every worker has work."""

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from peftlab.config.place import below
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.engine.job import Job
from peftlab.errors import UserError

SAME = ("backbone", "task", "dataset", "fit", "device")  # what the jobs of a group have in common
OF_CELL = 2.0  # forward and input gradient of all blocks, in forwards of the trunk
Group = list[int]  # the places of its jobs


class Cell(NamedTuple):
    """A job as its group sees it. `below`: the share of the blocks that lie below its first site. Cells of a seed share batches."""

    seed: int
    below: float
    place: int


def group_key(resolved: Resolved) -> str:
    """Jobs with the same key can be of one group."""
    return json.dumps([resolved.raw[key] for key in SAME], sort_keys=True, default=str)


def why_alone(resolved: Resolved) -> str | None:
    """What keeps a job out of every group, if anything does."""
    if resolved.placement.word in ("noah", "supernet"):
        return f"placement={resolved.placement.word} has stages of its own"
    if resolved.task.word == "contrast":
        return "task=contrast compares with texts that a method writes, in a network of its own"
    if resolved.fit.compile:
        return "fit.compile=true compiles the step of one cell"
    return None


def grouped(jobs: Sequence[Job], workers: int, max_cells: int | None) -> list[Group]:
    """The groups of these jobs for so many workers, the longest first. A job that is wrong is alone, and says so when it runs."""
    found: dict[int, Resolved] = {}
    for at, job in enumerate(jobs):
        try:
            found[at] = resolve(job.config)
        except UserError:
            continue
    wrong = [[at] for at in range(len(jobs)) if at not in found]
    return [*wrong, *groups_of(found, workers, max_cells)]


def groups_of(
    resolved: Mapping[int, Resolved], workers: int = 1, max_cells: int | None = None
) -> list[Group]:
    """Places of jobs that run together; of a group at most `max_cells`. One that cannot be of a group is alone.

    A group is cut where the least of the trunk is computed twice: between seeds, then between cells by their first site. There
    are as many cuts as let `workers` of the same speed end soonest, by the count of blocks.
    """
    cells: dict[str, list[Cell]] = {}
    for at, one in resolved.items():
        key = group_key(one) if why_alone(one) is None else str(at)
        cells.setdefault(key, []).append(Cell(one.seed, below(one), at))
    whole = [sorted(group) for group in cells.values()]
    limit = max_cells or len(resolved)
    number = [ceil(len(group) / limit) for group in whole]
    best = _parts(whole, number, limit)
    for _ in range(workers - 1):
        left = [at for at, group in enumerate(whole) if number[at] < len(group)]
        if not left:
            break
        number[max(left, key=lambda at: cost(whole[at]) / number[at])] += 1
        other = _parts(whole, number, limit)
        best = min(best, other, key=lambda parts: span(parts, workers))
    best.sort(key=lambda part: -cost(part))
    return [sorted(cell.place for cell in part) for part in best]


def cost(cells: Iterable[Cell]) -> float:
    """Of a step, in forwards of the trunk: its blocks once for each seed, and of each cell those from its first site on."""
    return [0.0, *_costs(cells)][-1]


def _costs(cells: Iterable[Cell]) -> Iterator[float]:
    """Of the first cell, of the first two, and so on."""
    trunks: dict[int, float] = {}
    own = 0.0
    for cell in cells:
        trunks[cell.seed] = max(trunks.get(cell.seed, 0.0), cell.below)
        own += OF_CELL * (1 - cell.below)
        yield own + sum(trunks.values())


def span(parts: Iterable[Sequence[Cell]], workers: int) -> float:
    """When the last of the workers ends, if each takes the longest part that is left."""
    ends = [0.0] * workers
    for took in sorted(map(cost, parts), reverse=True):
        heapq.heapreplace(ends, ends[0] + took)
    return max(ends)


def _parts(groups: Sequence[list[Cell]], number: Sequence[int], limit: int) -> list[list[Cell]]:
    """Each group in so many parts of cells that stand beside each other, of like cost and at most `limit` cells."""
    found = []
    for group, parts in zip(groups, number, strict=True):
        begin = 0
        for left in range(parts, 0, -1):
            end = _end(group[begin:], left, limit)
            found.append(group[begin : begin + end])
            begin += end
    return found


def _end(cells: list[Cell], parts: int, limit: int) -> int:
    """How many of the cells are the first of so many parts: each has one cell at least."""
    if parts == 1:
        return len(cells)
    own, rest = [*_costs(cells)], [*_costs(reversed(cells))][::-1]
    low, high = max(1, len(cells) - (parts - 1) * limit), min(limit, len(cells) - parts + 1)
    return min(range(low, high + 1), key=lambda end: max(own[end - 1], rest[end] / (parts - 1)))
