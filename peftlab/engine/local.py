"""Jobs on the devices of one machine: N workers take them, or fused groups of them, from a queue, and none ends the others."""

import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from peftlab.engine.device import Claim, devices
from peftlab.engine.group import grouped
from peftlab.engine.job import Job
from peftlab.engine.table import Shown, Table
from peftlab.engine.worker import Worker
from peftlab.errors import INTERRUPTED, UserError, say
from peftlab.record.record import Record

TICK_S = 0.5
MAX_TRIES = 2  # of a job whose worker dies, hangs or takes too much memory
LIFE = ("metrics.jsonl", "status.json")  # what a run that is alive writes


@dataclass
class Task:
    """What a worker is given at once: jobs by their places in the sweep, how often they were begun, when they were last seen to move."""

    jobs: dict[int, Job]
    tries: int = 0
    signs: tuple[int, ...] = ()
    moved: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """Of its first job, and how many others there are."""
        first, *others = (job.record.folder.name for job in self.jobs.values())
        return f"{first} and {len(others)} others" if others else first

    def is_hanging(self, limit_s: float | int | None) -> bool:
        """Whether nothing of its runs has changed for longer than the limit. The machine's clock is not asked."""
        signs = tuple(_changed(job.record.folder / name) for job in self.jobs.values() for name in LIFE)
        if signs != self.signs:
            self.signs, self.moved = signs, time.monotonic()
        return limit_s is not None and time.monotonic() - self.moved > limit_s

    def again(self) -> list["Task"]:
        """What is begun once more when its worker is lost: a group as two, until one job is to blame; none of a job that was."""
        if len(self.jobs) == 1:
            return [self] if self.tries < MAX_TRIES else []
        own = list(self.jobs.items())
        return [Task(dict(own[: len(own) // 2])), Task(dict(own[len(own) // 2 :]))]


@dataclass(frozen=True)
class Limits:
    """What a worker may do, None being no limit: seconds for which its run writes nothing, and GiB of resident memory."""

    hang_s: float | int | None = None
    memory_gb: float | int | None = None

    def broken(self, worker: Worker, task: Task) -> str | None:
        """Which of them a worker has broken, as what its job's folder says of it."""
        if task.is_hanging(self.hang_s):
            return f"it wrote nothing for {self.hang_s:g} s (hydra.launcher.hang_s)"
        if self.memory_gb is not None and worker.memory_gb > self.memory_gb:
            return f"its worker took more than {self.memory_gb:g} GiB of memory (hydra.launcher.memory_gb)"
        return None


Untold = list[str | None]  # of each job, what no folder tells of its failure
Ended = tuple[Task, Untold, str | None]  # why its worker is lost, if it is


class Pool:
    """The workers of a sweep, which outlive a round of it.

    workers: None is one for each GPU or core. max_cells: of a fused group; None is no bound, and with 1 every job is for itself.
    """

    def __init__(self, workers: int | None, limits: Limits, max_cells: int | None = 1) -> None:
        self.workers, self.limits, self.max_cells = workers, limits, max_cells
        self._claim: Claim | None = None
        self._idle: list[Worker] = []

    def run(self, jobs: Iterator[Job], total: int, folder: Path) -> Iterator[tuple[int, str | None]]:
        """Run all jobs; gives the place of each as it ends, with the sentence of a failure that its folder does not tell.

        Raises:
            SystemExit: 130 after an interrupt, once every worker has saved what it had.
            UserError: if another sweep has all devices.
        """
        first = next(jobs, None)
        if first is None:
            return
        if self._claim is None:
            self._claim = Claim(devices(self.workers, cpu=first.config.get("device") == "cpu"))
        queue = self._tasks(enumerate(chain([first], jobs)), len(self._claim.devices))
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        busy: dict[Worker, Task] = {}
        try:
            with Table(total) as table:
                yield from self._rounds(queue, busy, (folder, table))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        finally:
            _stop(busy)
            signal.signal(signal.SIGTERM, before)

    def close(self) -> None:
        """End the workers, and give the devices back."""
        for worker in self._idle:
            worker.close()
        self._idle = []
        if self._claim is not None:
            self._claim.release()

    def _tasks(self, jobs: Iterator[tuple[int, Job]], workers: int) -> Iterator[Task]:
        """What the workers are given. Jobs are composed as they are taken: of groups as many at a time as all workers hold."""
        if self.max_cells == 1:
            yield from (Task({place: job}) for place, job in jobs)
            return
        size = None if self.max_cells is None else self.max_cells * workers
        while window := list(islice(jobs, size)):
            for group in grouped([job for _, job in window], workers, self.max_cells):
                yield Task(dict(window[at] for at in group))

    def _rounds(
        self, queue: Iterator[Task], busy: dict[Worker, Task], where: tuple[Path, Table]
    ) -> Iterator[tuple[int, str | None]]:
        (folder, table), spare = where, list[Task]()
        assert self._claim is not None
        while True:
            while len(busy) < len(self._claim.devices):
                task = spare.pop() if spare else next(queue, None)
                if task is None:
                    break
                worker = self._worker(busy, folder)
                task.tries, task.moved, busy[worker] = task.tries + 1, time.monotonic(), task
                worker.give(list(task.jobs.values()))
            if not busy:
                return
            cells = [(worker, job) for worker, task in busy.items() for job in task.jobs.values()]
            table.show([Shown(worker.device.name, job.record.folder) for worker, job in cells])
            ready, _, _ = select.select([worker.answers for worker in busy], [], [], TICK_S)
            for task, told, why in [*self._ended(ready, busy), *self._ended_by_us(busy)]:
                if why is not None and (again := task.again()):
                    say(f"{task.name}: {why}; begun once more, from the last save")
                    spare += again
                    continue
                for (place, job), untold in zip(task.jobs.items(), told, strict=True):
                    table.ended(job.record.folder)
                    yield place, untold if why is None else lost(job.record, f"{why}, {MAX_TRIES} times")

    def _worker(self, busy: dict[Worker, Task], folder: Path) -> Worker:
        if self._idle:
            return self._idle.pop()
        assert self._claim is not None
        taken = {worker.slot for worker in busy}
        slot = next(slot for slot in range(len(self._claim.devices)) if slot not in taken)
        logs = folder / ".local"
        logs.mkdir(parents=True, exist_ok=True)
        return Worker(slot, self._claim.devices[slot], logs / f"worker-{slot}.log")

    def _ended(self, ready: list[Any], busy: dict[Worker, Task]) -> Iterator[Ended]:
        """The workers that have answered, or died."""
        for worker in [worker for worker in busy if worker.answers in ready]:
            task, answer = busy.pop(worker), worker.answer()
            if answer is not None and not answer.interrupted:
                self._idle.append(worker)
                yield task, answer.untold, None
                continue
            code = worker.close()  # of one that has answered: somebody has told it to stop
            yield task, [None] * len(task.jobs), None if answer is not None else _death(worker, code)

    def _ended_by_us(self, busy: dict[Worker, Task]) -> Iterator[Ended]:
        """Those that break a limit."""
        broken = [(worker, why) for worker, task in busy.items() if (why := self.limits.broken(worker, task))]
        for worker, why in broken:
            worker.kill()
            worker.close()
            task = busy.pop(worker)
            yield task, [None] * len(task.jobs), why


def _death(worker: Worker, code: int) -> str:
    """What is said of a worker that ended with this code."""
    why = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    memory = ", which the kernel sends where memory is short" if code == -signal.SIGKILL else ""
    return f"its worker on {worker.device.name} died ({why}{memory})"


def _stop(busy: dict[Worker, Task]) -> None:
    """Every worker saves and ends; a second interrupt does not wait for that."""
    for worker in busy:
        worker.ask_to_stop()
    try:
        for worker in busy:
            worker.answer()
    except KeyboardInterrupt:
        for worker in busy:
            worker.kill()
    for worker in busy:
        worker.close()


def lost(record: Record, sentence: str) -> str | None:
    """Say in the folder of a run that it failed with its worker; gives the sentence if that cannot be said."""
    try:
        if not record.take(resume=True):
            record.status("failed", error=sentence, of_machine=True)
    except (UserError, OSError):
        return sentence
    finally:
        record.release()
    return None


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
