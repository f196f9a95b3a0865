"""One line of the table, and ratios over rounds."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Of a figure to another of the same round: the median over the rounds, and between what the middle half of them lies."""

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
    reach: str
    gateway: str
    reached: bool
    against: str = ""  # what HAProxy needed, or what else the gateway is compared with
    ratio: Ratio | None = None
    nginx: str = ""
