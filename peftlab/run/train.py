"""The consumer of the generator of steps, for one run or for several that train together: log, validate, save."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from rich.progress import Progress, TaskID

from peftlab.fit.fit import Diverged, Step, fit
from peftlab.run.answers import joint_outputs
from peftlab.run.rows import learned_gammas, row_of
from peftlab.run.show import progress
from peftlab.run.state import Run
from peftlab.run.stop import Stop
from peftlab.task.task import Outputs

Outcome = Diverged | Exception | None


class Training:
    """Some runs on one network, each from the step that it starts at.

    `outcomes` says how they ended, by their place in the list: None is at the last step that it shall take, or without a step where
    nothing is trained (zero-shot), and a place that is missing is stopped and saved. What goes wrong with the record of one is its
    own outcome if there are several.
    """

    def __init__(self, runs: Sequence[Run], starts: Sequence[int]) -> None:
        self.runs, self.starts = runs, starts
        self.outcomes: dict[int, Outcome] = {
            place: None
            for place, (run, start) in enumerate(zip(runs, starts, strict=True))
            if start >= run.experiment.schedule.end or not run.experiment.learner.owned()
        }

    def train(self, stop: Stop) -> None:
        """All steps, until each run has ended or `stop` is asked for; a run without a step is validated as it is."""
        for place in [*self.outcomes]:
            if self.starts[place] == 0:
                self._do(place, lambda run: run.validate(0))
        total = max(run.experiment.schedule.end for run in self.runs)
        with progress() as bar:
            task = bar.add_task("train", total=total, completed=min(self.starts), loss="-")
            for start, until, places in self._legs():
                self._leg(start, until, places, (bar, task), stop)
                if stop.heard:
                    return

    def _legs(self) -> Iterator[tuple[int, int, list[int]]]:
        """Those that are behind go first, until they are where the next ones start."""
        marks = sorted(set(self.starts))
        ends = [*marks[1:], max(run.experiment.schedule.end for run in self.runs)]
        for start, until in zip(marks, ends, strict=True):
            yield start, until, [place for place, own in enumerate(self.starts) if own <= start]

    def _leg(
        self, start: int, until: int, places: list[int], shown: tuple[Progress, TaskID], stop: Stop
    ) -> None:
        places = [place for place in places if place not in self.outcomes]
        if not places or start >= until:
            return
        first = self.runs[places[0]].experiment
        learners = [self.runs[place].experiment.learner for place in places]
        active = set(range(len(places)))
        began = time.perf_counter()
        for happened in fit(first.resolved.fit, first.network, learners, start=start, active=active):
            took = (time.perf_counter() - began) / len(happened)
            self._follow({places[index]: step for index, step in happened.items()}, took, stop)
            active -= {index for index, place in enumerate(places) if place in self.outcomes}
            last = next(iter(happened.values()))
            number = last.step if isinstance(last, Diverged) else last.number
            loss = last.value if isinstance(last, Diverged) else last.loss
            shown[0].update(shown[1], completed=number, loss=f"{loss:.4f}")
            if stop.heard or number == until:
                return
            began = time.perf_counter()

    def _answers(self, steps: Mapping[int, Step]) -> dict[int, Outputs | None]:
        """What several runs that validate now say of their validation items."""
        due = [place for place, step in steps.items() if validates(self.runs[place], step.number)]
        experiments = [self.runs[place].experiment for place in due]
        splits = [split for one in experiments if (split := one.trunk.dataset.val) is not None]
        with ExitStack() as evaluated:
            for one in experiments:
                evaluated.enter_context(one.learner.evaluated())
            return dict(zip(due, joint_outputs(experiments, splits, is_test=False), strict=True))

    def _follow(self, happened: Mapping[int, Step | Diverged], took: float, stop: Stop) -> None:
        """What the runs do after a step, which took so many seconds for each. A wish to stop that came until it was logged is heard."""
        for place, step in happened.items():
            if isinstance(step, Diverged):
                self.outcomes[place] = step
            else:
                self._do(place, partial(log, step=step, took=took))
        stop.hear()
        steps = {
            place: step
            for place, step in happened.items()
            if isinstance(step, Step) and place not in self.outcomes
        }
        answers = self._answers(steps)
        for place, step in steps.items():
            self._do(place, partial(keep, step=step, stop=stop, answers=answers.get(place)))
            if step.number == self.runs[place].experiment.schedule.end:
                self.outcomes.setdefault(place, None)

    def _do(self, place: int, act: Callable[[Run], None]) -> None:
        """What one run does; what goes wrong with it is its outcome, if it is one of several."""
        try:
            act(self.runs[place])
        except Exception as error:
            if len(self.runs) == 1:
                raise
            self.outcomes[place] = error


def validates(run: Run, number: int) -> bool:
    """Whether a validation is due after this step."""
    experiment, plan = run.experiment, run.experiment.resolved.fit
    epoch, rest = divmod(number, experiment.schedule.per_epoch)
    is_due = rest == 0 and (epoch % (plan.eval_every or 1) == 0 or number == experiment.schedule.num_steps)
    return is_due and experiment.trunk.dataset.val is not None


def log(run: Run, step: Step, took: float) -> None:
    """A step, which took so many seconds, in the rows of a run and in its tracker."""
    experiment, total = run.experiment, run.experiment.schedule.num_steps
    run.step_times.append(took)
    row = row_of(step)
    if experiment.learner.outer is None:
        row |= learned_gammas(experiment.cell.gamma, step, total)
    run.log(step.number, row)
    run.show_gamma(step.number)


def keep(run: Run, step: Step, stop: Stop, answers: Outputs | None = None) -> None:
    """Validate and save where it is due; `answers` as in `Run.validate`."""
    experiment, plan = run.experiment, run.experiment.resolved.fit
    epoch, rest = divmod(step.number, experiment.schedule.per_epoch)
    at_end = step.number == experiment.schedule.end
    if validates(run, step.number):
        run.validate(step.number, answers)
    if stop.heard or (rest == 0 and epoch % plan.save_every == 0) or at_end:
        run.save(step.number)
    run.heartbeat.beat(step, run.last)
