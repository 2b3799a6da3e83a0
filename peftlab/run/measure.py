"""The numbers of a finished run, beside those of the frozen backbone that it began from."""

from typing import Any

from peftlab.build.experiment import Experiment
from peftlab.build.new_classes import on_new_classes
from peftlab.dataset.split import Split
from peftlab.task.contrast import with_new
from peftlab.task.task import Outputs


def measure(
    experiment: Experiment, split: Split, answers: Outputs | None = None
) -> tuple[Any, dict[str, float | None]]:
    """What the task counts on a split, and its numbers: `test/NAME`, `frozen/NAME` of those that the task compares, and `gain/NAME` of
    the headline metrics.

    Frozen is the backbone with the head as it starts, on the same batches: what the run would have without a step. A head
    that starts from no feature (init=random) has no such number: `frozen` and `gain` are None. `answers` are the outputs for
    one pass over the split, where they are known.
    """
    task, batches, frozen = experiment.task, experiment.trunk.batches(split), experiment.frozen(split)
    outputs = answers or experiment.outputs(is_test=True, split=split)
    beside: dict[str, float | None] = dict.fromkeys(f"frozen/{name}" for name in task.compared)
    beside |= dict.fromkeys(f"gain/{name}" for name in task.headline)
    if frozen is None:
        counted = experiment.evaluate(outputs, batches)
    else:
        counted, other, gain = experiment.compare(outputs, frozen, batches)
        start = task.metrics(other)
        beside |= {f"frozen/{name}": start[name] for name in task.compared if name in start}
        beside |= {f"gain/{name}": value for name, value in gain.items()}
    found = {**{f"test/{name}": value for name, value in task.metrics(counted).items()}, **beside}
    new = on_new_classes(experiment)
    return counted, found if new is None else with_new(found, measure(*new)[1])
