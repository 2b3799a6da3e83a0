"""Steps as they are written."""

from peftlab.fit.fit import Step


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
