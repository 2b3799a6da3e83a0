"""Wilson's interval of a proportion."""

from math import isnan, nan, sqrt
from statistics import NormalDist


def wilson(p: float, num: float | int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion p seen in num trials; (NaN, NaN) without trials.

        (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)

    num may be fractional: an effective number of trials.

    Raises: ValueError for p outside 0..1 or a level outside 0..1.
    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not between 0 and 1.")
    if isnan(p) or num <= 0:
        return nan, nan
    if not 0 <= p <= 1:
        raise ValueError(f"p={p} is not a proportion, 0 to 1.")
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = p + z2 / (2 * num)
    half = sqrt(z2 * (p * (1 - p) / num + z2 / (4 * num**2)))
    scale = 1 + z2 / num
    # At p = 0 and p = 1 one bound is p itself; rounding must not push it to the other side.
    return max(0.0, min(p, (centre - half) / scale)), min(1.0, max(p, (centre + half) / scale))
