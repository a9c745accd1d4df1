"""Intervals for figures measured on a few hundred cases, and the plain table that shows them.

Percentile bootstrap (Efron & Tibshirani 1993, ch. 13) over cases: they are drawn with replacement, the figure is computed again, and the middle
95% of 2,000 such figures is the interval. Seeded: the same figures give the same interval.
Left out: corrections for bias. Where all cases agree the interval is a point, which says less than it seems to for small n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """In percent: "83.3 [75.0, 90.0]"."""
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def bootstrap(
    numerators: Sequence[float], denominators: Sequence[float] | None = None, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """sum(numerators) / sum(denominators) over cases, with its interval. Both (n,); no denominators: the mean.

    Two counts a case give a micro average, as F1 = 2 matched / (predicted + gold). 0 / 0 counts as 1: nothing to find and nothing wrong.
    Raises ValueError without cases.
    """
    if not len(numerators):
        raise ValueError("no cases to measure")
    pairs = np.stack([numerators, np.ones(len(numerators)) if denominators is None else denominators]).astype(float)  # (2, n)
    random = np.random.default_rng(seed)
    n = pairs.shape[1]
    sums = np.array([pairs[:, random.integers(0, n, n)].sum(axis=1) for _ in range(resamples)])  # (resamples, 2)
    figures = np.divide(sums[:, 0], sums[:, 1], out=np.ones(resamples), where=sums[:, 1] > 0)  # (resamples,)
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    above, below = pairs.sum(axis=1)
    return Interval(float(above / below) if below > 0 else 1.0, float(low), float(high), n)


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Rows of equal length -> aligned text, the first row its head; the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))) for row in cells]
    return "\n".join(line.rstrip() for line in (lines[0], "-" * len(lines[0]), *lines[1:]))
