"""Several runs on one network: each with its own record, tracker and end."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from peftlab.build.together import share_batches, shared_network
from peftlab.run.answers import joint_outputs
from peftlab.run.finish import Tested, open_tested
from peftlab.run.fitting import num_together
from peftlab.run.memory import release
from peftlab.run.run import INTERRUPTED, Ending, Order, ended, interrupted, mirrored, prepare, stops_at
from peftlab.run.show import console
from peftlab.run.state import Run
from peftlab.run.stop import interruptible
from peftlab.run.train import Outcome, Training


class _Member:
    """A run of the group, with its tracker, from its first byte to its last."""

    def __init__(self, place: int, state: Run, start: int, whole: ExitStack) -> None:
        self.place, self.state, self.start = place, state, start
        self._own = whole.enter_context(ExitStack())
        self.ending: Ending = self._own.enter_context(mirrored(state))

    def end(self, outcome: Outcome, tested: Tested | None) -> Exception | None:
        """Test it and write its result, and say what went wrong."""
        try:
            if isinstance(outcome, Exception):
                return outcome
            ended(self.state, self.start, outcome, self.ending, tested)
        except Exception as error:
            return error
        finally:
            self._own.close()
        return None


def run_together(orders: Sequence[Order]) -> Iterator[tuple[int, Exception | None]]:
    """Run all; gives the place of each as it ends, with what went wrong with it alone.

    Raises:
        SystemExit: 130 after an interrupt, once everything needed to go on is saved.
        Exception: what went wrong with all that have not ended yet. Those are as after a kill: they can go on.
    """
    release()
    network = shared_network(orders[0].resolved, num_together=1)
    members: list[_Member] = []
    with ExitStack() as whole:
        for place, order in enumerate(orders):
            try:
                state = prepare(order, network)
                start = state.open()
            except Exception as error:
                yield place, error
                continue
            if start is None:
                yield place, None
                continue
            members.append(_Member(place, state, start, whole))
        if not members:
            return
        experiments = [member.state.experiment for member in members]
        share_batches(experiments)
        network.num_together = num_together(experiments)
        console.rule(f"{len(members)} runs on one trunk")
        training = Training([member.state for member in members], [member.start for member in members])
        with interruptible() as stop:
            training.train(stop)
        if stop.heard and len(training.outcomes) < len(members):
            for member in members:
                interrupted(member.state, member.ending)
            stop.follow()
            sys.exit(INTERRUPTED)
        tested = _tested(members, training.outcomes)
        for index, member in enumerate(members):
            yield member.place, member.end(training.outcomes[index], tested.get(index))


def _tested(members: Sequence[_Member], outcomes: Mapping[int, Outcome]) -> dict[int, Tested]:
    """What those that are to be tested say of the test items."""
    splits = {}
    for index, member in enumerate(members):
        outcome = outcomes[index]
        if not isinstance(outcome, Exception) and stops_at(member.state, member.start, outcome) is None:
            splits[index] = open_tested(member.state)
    found = joint_outputs(
        [members[index].state.experiment for index in splits], list(splits.values()), is_test=True
    )
    return {
        index: Tested(split, answers) for (index, split), answers in zip(splits.items(), found, strict=True)
    }
