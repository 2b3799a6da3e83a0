"""The end of a multirun: its report, from Hydra's callback."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import OmegaConf

from peftlab.config.hydra_version import save_waiting
from peftlab.config.job_loader import clear_refused
from peftlab.config.multirun import Multirun, planned
from peftlab.config.pending import remember
from peftlab.errors import UserError, stop
from peftlab.report.live import Live
from peftlab.report.report import Report, check_baseline, write_report
from peftlab.report.table import print_table


class SweepReport(Callback):
    """Hydra callback (`hydra.callbacks`): writes and prints the report when a multirun ends, and mirrors it as jobs do.

    Hydra turns what a callback raises into a warning, and calls no `on_multirun_end` when a job raised. So a
    job records its failure and returns, and the outcome stands here for the exit code of the command.
    """

    started: ClassVar[Any] = None  # the config of a sweep that has begun and not ended
    live: ClassVar[Live | None] = None  # the sweep's report in the tracker of its jobs
    last: ClassVar[Report | None] = None
    error: ClassVar[Exception | None] = None
    untold: ClassVar[list[str]] = []  # failures that no folder tells

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Refuse a baseline that the sweep will not have; remember the sweep, for a report if it is interrupted.

        Raises:
            SystemExit: after the sentence: Hydra would make a warning of any other exception.
        """
        folder, baseline = Path(str(config.hydra.sweep.dir)), OmegaConf.select(config, "baseline")
        try:
            check_baseline(folder, planned(config) if baseline else [], baseline)
        except UserError as error:
            stop(f"peftlab: {error}")
        clear_refused(folder)
        SweepReport.started, SweepReport.last, SweepReport.error = config, None, None
        SweepReport.untold = []
        SweepReport.live = Live(folder, baseline)

    def on_job_end(self, config: Any, job_return: Any, **kwargs: Any) -> None:
        """Bring the report in the tracker up to date, if the jobs of this sweep have one.

        Hydra keeps what a job returned to the end of the sweep: its two configs go here, so that memory stays flat.
        """
        job_return.cfg = job_return.hydra_cfg = None
        remember(config)
        node = OmegaConf.select(config, "tracker")
        if SweepReport.live is not None and OmegaConf.is_dict(node):
            tracker: Any = OmegaConf.to_container(node, resolve=True)
            SweepReport.live.update(tracker)

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        """Report on `hydra.sweep.dir` against the key `baseline`; what goes wrong is kept in `error`."""
        SweepReport.started = SweepReport.last = SweepReport.error = None
        if Multirun.plan is not None:  # nothing ran; Hydra 1.4 comes here all the same
            return
        try:
            baseline = OmegaConf.select(config, "baseline")
            found = write_report(str(config.hydra.sweep.dir), baseline=baseline)
            untold = list(SweepReport.untold)
            SweepReport.last = replace(found, untold=untold, num_failed=found.num_failed + len(untold))
            print_table(SweepReport.last)
        except Exception as error:  # Hydra would make it a warning; the command has it as its exit code
            SweepReport.error = error
        if SweepReport.live is not None:
            SweepReport.live.finish(SweepReport.last)
            SweepReport.live = None


def note(folder: str, untold: str | None) -> None:
    """A job has ended; `untold` is the sentence of a failure that its folder does not tell."""
    if untold is not None:
        SweepReport.untold.append(f"{folder}: {untold}")
    else:
        save_waiting()
