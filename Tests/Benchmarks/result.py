"""One row of the table, and ratios over rounds."""

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ratio:
    """One figure divided by another of the same round: the median over the rounds, and the bounds of their middle half."""

    median: float
    low: float
    high: float

    def __str__(self):
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def ratio(ours, theirs):
    quotients = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    if len(quotients) < 2:
        return Ratio(quotients[0], quotients[0], quotients[0])
    low, _, high = statistics.quantiles(quotients, n=4, method="inclusive")
    return Ratio(statistics.median(quotients), low, high)


@dataclass(frozen=True)
class Result:
    measure: str
    goal: str
    gateway: str
    met: bool
    reference: str = ""  # HAProxy's figure, or another one of the gateway itself
    ratio: Ratio | None = None
    nginx: str = ""
    newer: dict = field(default_factory=dict)  # figures of the newer peers, by name: see NEWER in stage.py
