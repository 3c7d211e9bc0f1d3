"""One engine put to the proof: a load, killed over and over, and what is left judged claim by claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from claims import CLAIMS
from evidence import Evidence, gathered
from grounds import Engine, prepared
from killing import Course, Killer, Load

_MOST_SHOWN = 5


@dataclass(frozen=True)
class Verdict:
    """One claim, and the first few things that speak against it."""

    sentence: str
    against: tuple[str, ...]

    @property
    def has_passed(self) -> bool:
        return not self.against


@dataclass(frozen=True)
class Proof:
    """What was done to a load, what it left, and what that says of each claim."""

    course: Course
    evidence: Evidence
    verdicts: tuple[Verdict, ...]


def judged(evidence: Evidence) -> Iterator[Verdict]:
    """Each claim in turn."""
    for claim in CLAIMS:
        yield Verdict(claim.sentence, tuple(islice(claim.against(evidence), _MOST_SHOWN)))


def prove(engine: Engine, folder: Path, load: Load, *, tell: Callable[[str], None] = lambda _: None) -> Proof:
    """Run the load on fresh grounds, kill it, and judge what is left."""
    with prepared(engine, folder, syncs=load.syncs) as grounds:
        course = Killer(grounds, load).run()
        tell(f"{engine}: done after {course.seconds:.0f} s; judging")
        evidence = gathered(grounds, orders=load.orders, kills=course.kills, troubles=course.troubles)
    return Proof(course, evidence, (*judged(evidence), *_kills_made(load, course, engine)))


def _kills_made(load: Load, course: Course, engine: Engine) -> Iterator[Verdict]:
    """That it was killed as often as it was meant to be: a proof without kills proves nothing."""
    enough = course.kills >= load.kills
    against = () if enough else (f"{course.kills} of {load.kills}",)
    yield Verdict("workers were killed as often as was asked for", against)
    if engine == "postgres":
        enough = course.server_kills >= load.server_kills
        against = () if enough else (f"{course.server_kills} of {load.server_kills}",)
        yield Verdict("the server was killed as often as was asked for", against)
