"""Steps as they are written."""

from peftlab.fit.fit import Step
from peftlab.scaling.gamma import Gamma

POINTS = 100  # of a learned gamma over the run; a meta-learned one is in the row of every outer step


def row_of(step: Step) -> dict[str, float]:
    """A step as `group/metric` scalars."""
    row = {"train/loss": step.loss, "train/lr": step.lr, "epoch": step.epoch}
    if step.outer is not None:
        gammas = step.outer.gamma.values()
        row |= {"outer/loss": step.outer.loss, "outer/gamma_min": min(gammas), "outer/gamma_max": max(gammas)}
        row["outer/gamma_mean"] = sum(gammas) / len(gammas)
        for key in ("gamma", "grad", "ratio"):
            row |= {f"outer/{key}/{name}": value for name, value in getattr(step.outer, key).items()}
    return row


def learned_gammas(gamma: Gamma, step: Step, num_steps: int) -> dict[str, float]:
    """gamma of each group as `gamma/NAME`, about a hundred times in a run, where the task's optimizer step trains it."""
    due = step.number == num_steps or step.number % max(1, num_steps // POINTS) == 0
    if gamma.raw is None or not due:
        return {}
    return {f"gamma/{name}": value for name, value in gamma.by_group(gamma.effective()).items()}
