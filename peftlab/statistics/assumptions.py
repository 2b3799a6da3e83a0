"""What a pooled error assumes, looked at: normal residuals, and cells that vary alike."""

from math import nan
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from peftlab.statistics.blocks import Blocks

MOST = 5000  # values up to which Shapiro and Wilk's p is known
DOUBT = 0.01


class Assumptions(NamedTuple):
    """p-values; NaN where nothing can be said: fewer than three seeds, or no variation."""

    normal: float
    spread: float

    @property
    def doubts(self) -> list[str]:
        """What follows from those below DOUBT."""
        words = {
            "normal": "residuals are not normal: trust the permuted p",
            "spread": "cells vary differently: a pooled interval is too wide for some and too narrow for others",
        }
        return [text for name, text in words.items() if getattr(self, name) < DOUBT]


def assumptions(value: Float[np.ndarray, "seeds cells"]) -> Assumptions:
    """Shapiro and Wilk 1965 over the residuals of seed and cell; Brown and Forsythe 1974 (Levene about medians) over cells."""
    residual = Blocks(value).residual
    if len(value) < 3 or not residual.std() > 0:
        return Assumptions(nan, nan)
    normal = float(stats.shapiro(residual.ravel()).pvalue) if residual.size <= MOST else nan
    return Assumptions(normal, float(stats.levene(*residual.T).pvalue) if residual.shape[1] > 1 else nan)
