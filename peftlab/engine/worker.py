"""A process that runs one job, or one fused group, after another and keeps the trunk: its main, and the handle that its sweep has."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from peftlab.engine.device import Device
from peftlab.engine.fused import run_jobs
from peftlab.engine.job import Job
from peftlab.engine.parent import end_with_parent
from peftlab.errors import INTERRUPTED
from peftlab.record.record import Record


class Answer(NamedTuple):
    """How jobs ended: `untold` is what `run_job` gives of each."""

    interrupted: bool
    untold: list[str | None]


class Worker:
    """A fresh interpreter on one device, the sweep's number `slot`. What its jobs print goes to `log`."""

    def __init__(self, slot: int, device: Device, log: Path) -> None:
        self.slot, self.device = slot, device
        mine, its = os.pipe()
        command = [sys.executable, "-m", "peftlab.engine.worker", str(its)]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(its,),
                env={**os.environ, **device.environment},
                start_new_session=True,  # Ctrl-C is the sweep's, which tells each worker once
            )
        os.close(its)
        with contextlib.suppress(OSError):  # a core may have gone
            os.sched_setaffinity(self._process.pid, device.cores)
        self._answers = os.fdopen(mine, "rb")

    @property
    def answers(self) -> Any:
        """What can be waited for: it is readable when the jobs have ended, or the worker."""
        return self._answers

    def give(self, jobs: Sequence[Job]) -> None:
        """Start a job, or several as one group."""
        told = [
            (own.folder, own.choices, job.config, own.number, own.flat, job.group)
            for job in jobs
            for own in [job.record]
        ]
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead, as its answer will say
            pickle.dump(told, self._process.stdin)
            self._process.stdin.flush()

    def answer(self) -> Answer | None:
        """How the jobs ended; None if the worker has died with them."""
        try:
            return Answer(*pickle.load(self._answers))
        except (EOFError, pickle.UnpicklingError, OSError):
            return None

    @property
    def memory_gb(self) -> float:
        """GiB of memory that it holds now; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**30

    def ask_to_stop(self) -> None:
        """Save, and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End at once; a job goes on later from what it has saved."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> int:
        """Wait for its end, for which an idle one needs no more than this; gives its exit code."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        code = self._process.wait()
        self._answers.close()
        return code


def main() -> None:
    """Run the jobs that come in on stdin, until there are no more; answers go to the descriptor that is named."""
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    answers = os.fdopen(int(sys.argv[1]), "wb")
    tasks, sys.stdin = sys.stdin.buffer, open(os.devnull, encoding="utf-8")  # noqa: SIM115
    while True:
        try:
            told = pickle.load(tasks)
        except (EOFError, KeyboardInterrupt):
            return
        try:
            jobs = [
                Job(config, Record(folder, choices, config, number, flat), group)
                for folder, choices, config, number, flat, group in told
            ]
            answer = Answer(False, run_jobs(jobs))
        except (SystemExit, KeyboardInterrupt):
            answer = Answer(True, [])
        pickle.dump(tuple(answer), answers)
        answers.flush()
        if answer.interrupted:
            sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
