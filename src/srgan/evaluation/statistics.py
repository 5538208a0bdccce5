"""How far a mean over a few pictures can be trusted: intervals by the bootstrap (Efron 1979), percentile method."""

from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]

SAMPLES = 10_000
LEVEL = 0.95


def interval(values: Sequence[float]) -> Interval | None:
    """Return the interval that holds the mean in 95 of 100 samples of the pictures, drawn with replacement.

    None for fewer than two pictures, and where a value is not finite. Of as many values the same pictures are always
    drawn, so that an interval of differences is one of pairs.
    """
    x = np.array(values, dtype=np.float64)
    if len(x) < 2 or not np.isfinite(x).all():
        return None
    drawn = np.random.default_rng(0).integers(len(x), size=(SAMPLES, len(x)))
    low, high = np.quantile(x[drawn].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
