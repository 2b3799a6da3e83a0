"""Parameters, seconds and memory of a run before it is one."""

import json
import math
from typing import NamedTuple

import torch

from peftlab.build import cost
from peftlab.config.resolved import Resolved
from peftlab.dataset.reads import given_by
from peftlab.fit.schedule import Schedule
from peftlab.run.memory import peak_mib, release, reset_peak


class Predicted(NamedTuple):
    """Parameters that are trained beside the head, and seconds and peak MiB of a step; None where only images can say it."""

    trained: int | None
    step_s: float | None
    memory_mib: float | None


def cost_class(resolved: Resolved) -> str:
    """Jobs with the same key cost the same: seed and learning rate change no cost."""
    keys = ("backbone", "peft", "placement", "scaling", "head", "task", "device")
    fit = resolved.fit
    how = (fit.batch_size, fit.accumulate, fit.precision, fit.checkpointing)
    data = None if given_by(resolved.dataset) == "images" else resolved.raw["dataset"]  # frames, lengths
    return json.dumps([{key: resolved.raw[key] for key in keys}, how, data], sort_keys=True, default=str)


def predicted(resolved: Resolved) -> Predicted:
    """From shapes, and from a few steps on random inputs (`peftlab.build.cost`).

    Raises:
        UserError: if the method cannot work on the backbone.
    """
    number = cost.trained(resolved)
    if number is None:
        return Predicted(None, None, None)
    release()
    is_gpu = resolved.root.device != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda" if is_gpu else "cpu")
    reset_peak(device)
    step_s = cost.measured(resolved, device)
    return Predicted(number, step_s, None if step_s is None else peak_mib(device))


def num_steps(resolved: Resolved) -> int | None:
    """Optimizer steps of the whole training; None for data that are not at hand."""
    items = cost.num_train(resolved)
    return None if items is None else Schedule(resolved.fit, math.ceil(items / resolved.fit.batch_size)).end
