"""Jobs on the devices of one machine: N workers take them from a queue, and none of them ends the others."""

import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peftlab.engine.device import Claim, devices
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
    """A job with its place in the sweep, how often it was begun, and when it was last seen to move."""

    place: int
    job: Job
    tries: int = 0
    signs: tuple[int, ...] = ()
    moved: float = field(default_factory=time.monotonic)

    def is_hanging(self, limit_s: float | int | None) -> bool:
        """Whether nothing of its run has changed for longer than the limit. The machine's clock is not asked."""
        signs = tuple(_changed(self.job.record.folder / name) for name in LIFE)
        if signs != self.signs:
            self.signs, self.moved = signs, time.monotonic()
        return limit_s is not None and time.monotonic() - self.moved > limit_s


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


Ended = tuple[Task, str | None, str | None]  # what no folder tells of its failure; why its worker is lost


class Pool:
    """The workers of a sweep, which outlive a round of it. `workers`: None is one for each GPU or core."""

    def __init__(self, workers: int | None, limits: Limits) -> None:
        self.workers, self.limits = workers, limits
        self._claim: Claim | None = None
        self._idle: list[Worker] = []

    def run(self, jobs: Iterator[Job], total: int, folder: Path) -> Iterator[tuple[int, str | None]]:
        """Run all jobs; gives the place of each as it ends, with the sentence of a failure that its folder does not tell.

        Raises:
            SystemExit: 130 after an interrupt, once every worker has saved what it had.
            UserError: if another sweep has all devices.
        """
        queue = (Task(place, job) for place, job in enumerate(jobs))
        first = next(queue, None)
        if first is None:
            return
        if self._claim is None:
            self._claim = Claim(devices(self.workers, cpu=first.job.config.get("device") == "cpu"))
        spare = [first]
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        busy: dict[Worker, Task] = {}
        try:
            with Table(total) as table:
                yield from self._rounds(queue, spare, busy, (folder, table))
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

    def _rounds(
        self, queue: Iterator[Task], spare: list[Task], busy: dict[Worker, Task], where: tuple[Path, Table]
    ) -> Iterator[tuple[int, str | None]]:
        folder, table = where
        assert self._claim is not None
        while True:
            while len(busy) < len(self._claim.devices):
                task = spare.pop() if spare else next(queue, None)
                if task is None:
                    break
                worker = self._worker(busy, folder)
                task.tries, task.moved, busy[worker] = task.tries + 1, time.monotonic(), task
                worker.give(task.job)
            if not busy:
                return
            table.show([Shown(worker.device.name, task.job.record.folder) for worker, task in busy.items()])
            ready, _, _ = select.select([worker.answers for worker in busy], [], [], TICK_S)
            for task, untold, why in [*self._ended(ready, busy), *self._ended_by_us(busy)]:
                if why is not None and task.tries < MAX_TRIES:
                    say(
                        f"{task.job.record.folder.name}: {why}; it is begun once more, and goes on from its last save"
                    )
                    spare.append(task)
                    continue
                told = untold if why is None else lost(task.job.record, f"{why}, {MAX_TRIES} times")
                table.ended(task.job.record.folder)
                yield task.place, told

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
            code = worker.close()
            yield (
                task,
                None,
                None if answer is not None else _death(worker, code),
            )  # else somebody has told it to stop

    def _ended_by_us(self, busy: dict[Worker, Task]) -> Iterator[Ended]:
        """Those that break a limit."""
        broken = [(worker, why) for worker, task in busy.items() if (why := self.limits.broken(worker, task))]
        for worker, why in broken:
            worker.kill()
            worker.close()
            yield busy.pop(worker), None, why


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


def check_options(**options: object) -> None:
    """Raises UserError for an option of the launcher that is neither null nor above 0; seconds and GiB need not be whole."""
    for key, value in options.items():
        kinds = (int, float) if key.endswith(("_s", "_gb")) else (int,)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or value <= 0):
            raise UserError(
                f"hydra.launcher.{key}={value} is not legal; legal: a {'' if len(kinds) > 1 else 'whole '}number above 0, or null"
            )


def lost(record: Record, sentence: str) -> str | None:
    """Say in the folder of a run that it failed with its worker; gives the sentence if that cannot be said."""
    try:
        if not record.take(resume=True):
            record.status("failed", error=sentence)
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
