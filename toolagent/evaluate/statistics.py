"""Intervals for figures measured on a few hundred cases, and the plain table that shows them.

Percentile bootstrap (Efron & Tibshirani 1993, ch. 13) over cases: they are drawn with replacement, the figure is computed again, and the
middle 95% of 2,000 such figures is the interval. Seeded: the same figures give the same interval.
Left out: corrections for bias. Where all cases agree the interval is a point, which says less than it seems to for small n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
SLICE = 100  # resamples drawn at a time: fast for small n, and small for large n
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


def bootstrap(numerators: Sequence[float], denominators: Sequence[float] | None = None, seed: int = 0) -> Interval:
    """sum(numerators) / sum(denominators) over cases, with its interval. Both (n,); no denominators: the mean.

    Two counts a case give a micro average, as F1 = 2 matched / (predicted + gold). 0 / 0 counts as 1: nothing to find and nothing wrong.
    Raises ValueError without cases.
    """
    if not len(numerators):
        raise ValueError("no cases to measure")
    pairs = np.stack([numerators, np.ones(len(numerators)) if denominators is None else denominators]).astype(float)  # (2, n)
    random = np.random.default_rng(seed)
    n = pairs.shape[1]
    drawn = [pairs[:, random.integers(0, n, (SLICE, n))].sum(axis=2).T for _ in range(0, RESAMPLES, SLICE)]  # each (SLICE, 2)
    sums = np.concatenate(drawn)  # (RESAMPLES, 2)
    figures = np.divide(sums[:, 0], sums[:, 1], out=np.ones(RESAMPLES), where=sums[:, 1] > 0)  # (RESAMPLES,)
    low, high = np.quantile(figures, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    above, below = pairs.sum(axis=1)
    return Interval(float(above / below) if below > 0 else 1.0, float(low), float(high), n)


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Rows of equal length -> aligned text, the first row its head. A column of figures ("-": none) stands to the right."""
    columns = [[str(cell) for cell in column] for column in zip(*rows, strict=True)]
    aligned = []
    for column in columns:
        width = max(map(len, column))
        figures = all(cell == "-" or cell[:1].isdigit() for cell in column[1:])
        aligned.append([cell.rjust(width) if figures else cell.ljust(width) for cell in column])
    lines = ["  ".join(cells) for cells in zip(*aligned, strict=True)]
    return "\n".join(line.rstrip() for line in (lines[0], "-" * len(lines[0]), *lines[1:]))
