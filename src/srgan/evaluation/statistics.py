"""How far a mean over a few pictures can be trusted: intervals by the bootstrap (Efron 1979), percentile method."""

from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]

SAMPLES = 10_000
LEVEL = 0.95

_AT_ONCE = 1_000_000  # values that are drawn together


def interval(values: Sequence[float]) -> Interval | None:
    """Return the interval that holds the mean in 95 of 100 samples of the pictures, drawn with replacement.

    None for fewer than two pictures, and where a value is not finite. Of as many values the same pictures are always
    drawn, so that an interval of differences is one of pairs.
    """
    x = np.array(values, dtype=np.float64)
    if len(x) < 2 or not np.isfinite(x).all():
        return None
    random, rows = np.random.default_rng(0), max(1, _AT_ONCE // len(x))
    sizes = [min(rows, SAMPLES - start) for start in range(0, SAMPLES, rows)]
    means = [x[random.integers(len(x), size=(samples, len(x)))].mean(axis=1) for samples in sizes]
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
