"""What a composed config validates: asked before data are opened."""

from collections.abc import Mapping
from typing import Any

from peftlab.dataset.rules import leaves_none, own_validation
from peftlab.errors import UserError

PRIMARY = {
    "classify": "mean_acc",
    "contrast": "mean_acc",
    "generate": "log_likelihood",
}  # what `primary` of these tasks is
UNWRITTEN = (
    "log_likelihood",
    "token_acc",
)  # of task=generate, the higher the better, without a written answer


def metric_of(task: Mapping[str, Any], given: str | None) -> str:
    """The metric of validation that a sweep compares its jobs by; None is the one of the task, what `fit.select=best` goes by.

    Raises:
        UserError: for a metric that validation of task=generate does not have, and for None with a task of one's own.
    """
    target = str(task.get("_target_"))
    word = target.split(".")[-2] if target.startswith("peftlab.task.") else ""
    if given is None and word not in PRIMARY:
        raise UserError(
            f"hydra.sweeper.metric=null is known for task={', '.join(PRIMARY)} and not for {target}; legal: the name of a metric"
            " of validation"
        )
    is_written = task.get("decode") == "always" and not str(given).endswith("nll")
    if word == "generate" and given not in (None, *UNWRITTEN) and not is_written:
        raise UserError(
            f"hydra.sweeper.metric={given} cannot be compared with task=generate; legal: {', '.join(UNWRITTEN)}, or with"
            " task.decode=always what is measured of written answers, as mean_acc"
        )
    return PRIMARY[word] if given is None else given


def has_none(config: dict[str, Any]) -> bool:
    """Whether it is sure that the run has no validation items; a config that is wrong elsewhere is not judged."""
    data, fit = config.get("dataset"), config.get("fit")
    if not isinstance(data, dict) or not isinstance(fit, dict) or not isinstance(data.get("source"), dict):
        return False
    source = str(data["source"].get("_target_", "")).split(".")
    word = source[-2] if len(source) > 1 else ""
    own = own_validation(data["source"])
    return leaves_none(data.get("val_fraction"), word, own, str(fit.get("select")))
