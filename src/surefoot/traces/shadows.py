"""Shadows: how often the strong model says what the cheap one said, for the answers that both were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import sqrt
from statistics import NormalDist

from surefoot.ledger import Ledger, Outcome
from surefoot.traces.plain import parsed, plain
from surefoot.values import Json

NAME = "shadow"
"""The name of the steps in which they are recorded."""

_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Shadow:
    """One answer of a cheap tier or route for which the strong model was asked too.

    `agrees` is None where that failed, and `failure` says why. `said` and `strong_said` are the texts as people may
    read them. `at_ns` is when it was known, in nanoseconds since the epoch.
    """

    run_id: str
    at_ns: int
    model: str
    strong: str
    agrees: bool | None
    tier: int = 0
    route: str = ""
    said: str = ""
    strong_said: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Shadows:
    """The shadows of a flow's runs, in the order of the runs."""

    flow: str
    shadows: tuple[Shadow, ...]

    @property
    def compared(self) -> int:
        """How many were answered by both."""
        return sum(one.agrees is not None for one in self.shadows)

    @property
    def agreeing(self) -> int:
        """In how many of them both said the same."""
        return sum(one.agrees is True for one in self.shadows)

    @property
    def failed(self) -> int:
        """How many times the strong model could not be asked."""
        return len(self.shadows) - self.compared

    @property
    def share(self) -> float | None:
        """The share of those compared that agree, 0 to 1."""
        return self.agreeing / self.compared if self.compared else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where that share lies with 95 % confidence; see `wilson`."""
        return wilson(self.agreeing, self.compared)

    @property
    def by_day(self) -> Mapping[date, tuple[int, int]]:
        """For each day (UTC), how many were compared and how many of them agree: what drifts is seen here."""
        days: dict[date, tuple[int, int]] = {}
        for one in sorted(self.shadows, key=lambda shadow: shadow.at_ns):
            if one.agrees is not None:
                day = datetime.fromtimestamp(one.at_ns / _S, UTC).date()
                compared, agreeing = days.get(day, (0, 0))
                days[day] = compared + 1, agreeing + one.agrees
        return days

    def __str__(self) -> str:
        """As `surefoot stats` shows them."""
        low, high = self.interval
        share = (
            "" if self.share is None else f" ({self.share:.0%}; with 95 % confidence {low:.0%} to {high:.0%})"
        )
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.agreeing} of {self.compared} agree with the strong model{share}{failed}"

    def to_json(self) -> dict[str, Json]:
        """The figures as plain data."""
        return {
            "compared": self.compared,
            "agreeing": self.agreeing,
            "failed": self.failed,
            "share": self.share,
            "interval": list(self.interval),
            "by_day": {f"{day}": list(counts) for day, counts in self.by_day.items()},
        }


def shadows(ledger: Ledger, flow: str, *, since_ns: int = 0) -> Shadows:
    """The shadows of the runs of a flow that began at `since_ns` or later. Raises `LedgerError`."""
    # The list of outcomes has no payloads, so that only runs with shadows are read.
    runs = {one.run_id: None for one in ledger.outcomes_of(flow, since_ns=since_ns) if one.name == NAME}
    return Shadows(flow, tuple(each for run_id in runs for each in _of_run(ledger, run_id)))


def _of_run(ledger: Ledger, run_id: str) -> Iterator[Shadow]:
    for outcome in ledger.outcomes(run_id):
        if outcome.name == NAME and outcome.status == "completed":
            record = plain(parsed(ledger.view(outcome.output)))
            # A step of the user's may have that name too.
            if isinstance(record, dict) and record.get("shadow") is True:
                yield _read(outcome, record)


def _read(outcome: Outcome, record: Mapping[str, Json]) -> Shadow:
    def text(name: str) -> str:
        return value if isinstance(value := record.get(name), str) else ""

    agrees, tier = record.get("agrees"), record.get("tier")
    return Shadow(
        run_id=outcome.run_id,
        at_ns=outcome.ended_ns,
        model=text("model"),
        strong=text("strong"),
        agrees=agrees if isinstance(agrees, bool) else None,
        tier=tier if isinstance(tier, int) else 0,
        route=text("route"),
        said=text("said"),
        strong_said=text("strong_said"),
        failure=text("failure"),
    )


def wilson(passed: int, count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided interval of a share by its score test; (0, 1) of nothing.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American Statistical
    Association 22 (1927).
    """
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = passed / count, z * z / count
    middle = share + spread / 2
    half = z * sqrt(share * (1 - share) / count + spread / count / 4)
    # At the ends the formula is exact, and floating point is not.
    low = 0.0 if passed == 0 else (middle - half) / (1 + spread)
    high = 1.0 if passed == count else (middle + half) / (1 + spread)
    return low, high
