"""What a command would run: every job resolved, and none begun. Reads labels at most and no weights, writes nothing."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from peftlab.config.identity import Identity
from peftlab.config.job import current
from peftlab.config.resolve import resolve
from peftlab.config.resolved import Resolved
from peftlab.engine.group import group_key, why_alone
from peftlab.engine.job import job_of
from peftlab.errors import UserError
from peftlab.record.status import read_status

FINISHED, WRONG = "finished", "wrong"


@dataclass
class Planned:
    """A job. `state`: `finished`, `wrong` (`why` says what), or what its folder says; `new` of a folder that is not there.

    `trained` parameters beside the head, `step_s` and `memory_mib` are None where only images, or one's own backbone, can say them,
    `steps` also where the data are not on this machine.
    """

    run: str
    choices: dict[str, str]
    state: str
    why: str | None = None
    group: int | None = None  # jobs with the same number can be fused
    alone: str | None = None  # why a job cannot be
    trained: int | None = None
    step_s: float | None = None
    memory_mib: float | None = None
    steps: int | None = None

    @property
    def train_s(self) -> float | None:
        """Seconds of all its steps, from the first."""
        return None if self.step_s is None or self.steps is None else self.step_s * self.steps


@dataclass
class Total:
    """Of `jobs` that are to run, the `timed` ones train for `train_s` one after another, and `wall_s` on so many `workers`; the
    largest takes `memory_mib`."""

    jobs: int
    timed: int
    workers: int
    train_s: float
    wall_s: float
    memory_mib: float | None


def total(jobs: Sequence[Planned], workers: int) -> Total:
    """The sum of what is to run. A longest job is no shorter for more workers."""
    waiting = [job for job in jobs if job.state not in (FINISHED, WRONG)]
    times = [job.train_s for job in waiting if job.train_s is not None]
    memory = [job.memory_mib for job in waiting if job.memory_mib is not None]
    train_s = math.fsum(times)
    wall_s = max(train_s / workers, max(times, default=0.0))
    return Total(len(waiting), len(times), workers, train_s, wall_s, max(memory, default=None))


def plan(configs: Iterable[DictConfig]) -> list[Planned]:
    """The jobs of these composed configs, in their order."""
    groups: dict[str, int] = {}
    costs: dict[str, Any] = {}
    found = []
    for config in configs:
        with current(config) as task:
            job = job_of(task)
        own = Planned(job.record.folder.name, job.record.choices, "new")
        found.append(own)
        try:
            resolved = resolve(job.config)
            job.record.identity = Identity(job.config)
            if job.record.look(resolved.root.resume, tell=False):
                own.state = FINISHED
                continue
            own.state = str(read_status(job.record.folder).get("state", "new"))
            own.alone = why_alone(resolved)
            if own.alone is None:
                own.group = groups.setdefault(group_key(resolved), len(groups) + 1)
            own.trained, own.step_s, own.memory_mib = _cost(resolved, costs)
            own.steps = None if own.step_s is None else _steps(resolved, costs)
        except UserError as error:
            own.state, own.why = WRONG, str(error)
    return found


def _cost(resolved: Resolved, known: dict[str, Any]) -> Any:
    """Measured once for all jobs that cost the same."""
    from peftlab.run.cost import cost_class, predicted  # torch, for which a wrong config does not wait

    key = cost_class(resolved)
    if key not in known:
        known[key] = predicted(resolved)
    return known[key]


def _steps(resolved: Resolved, known: dict[str, Any]) -> int | None:
    """Counted once for all jobs with the same data, plan and outer loop; the seed draws which items train, not how many."""
    from peftlab.run.cost import num_steps

    raw = resolved.raw
    key = json.dumps([raw["dataset"], raw["fit"], raw["scaling"].get("outer")], sort_keys=True, default=str)
    if key not in known:
        known[key] = num_steps(resolved)
    found: int | None = known[key]
    return found
