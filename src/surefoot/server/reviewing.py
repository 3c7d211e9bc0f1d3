"""One case to review, as a page shows it, and what is posted of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from surefoot.errors import InvalidInput
from surefoot.evals.datasets.json_rows import parsed
from surefoot.evals.datasets.review import Entry, Review
from surefoot.evals.datasets.verdict import AT, BY, PENDING, RECORDED, REVIEW, VERDICTS, Verdict
from surefoot.server.detail import Fact, Value
from surefoot.server.shown import pretty, shown

LONGEST = 1_000_000
"""Characters of what is expected that can be edited in a page."""
_MOST_FIELDS = 60
_VERDICTS: Mapping[str, Verdict] = {verdict: verdict for verdict in VERDICTS}
_HIDDEN = frozenset({REVIEW, BY, AT, RECORDED, "run"})


@dataclass(frozen=True, slots=True)
class Draft:
    """What is expected, as a form holds it. `is_json` where it is read as JSON and not as a text."""

    text: str
    is_json: bool

    @classmethod
    def of(cls, expected: Any) -> Draft:
        if expected is None or isinstance(expected, str):
            return cls(expected or "", is_json=False)
        return cls(pretty(expected), is_json=True)

    @property
    def value(self) -> object:
        """Raises `InvalidInput` for what is said to be JSON and is not."""
        if not self.is_json:
            return self.text
        try:
            return parsed(self.text)
        except ValueError as error:
            raise InvalidInput(
                f"What is expected is not JSON ({error}). Mend it, or say that it is a text."
            ) from None


@dataclass(frozen=True, slots=True)
class Posted:
    """A verdict as a form brings it."""

    line: int
    digest: str
    case: str
    verdict: Verdict
    by: str
    draft: Draft

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Posted:
        """Raises `InvalidInput` for a form that is none of ours."""
        line, verdict = fields.get("line", ""), fields.get("verdict", "")
        found = _VERDICTS.get(verdict)
        if not (line.isascii() and line.isdigit()) or len(line) > 9 or found is None:
            raise InvalidInput("This is no form of these pages.")
        # A browser ends the lines of what was typed as in a mail.
        text = fields.get("expected", "").replace("\r\n", "\n")
        return cls(
            int(line),
            fields.get("digest", ""),
            fields.get("case", ""),
            found,
            fields.get("by", "").strip()[:100],
            Draft(text, is_json=fields.get("form") == "json"),
        )

    @property
    def entry(self) -> Entry:
        """The line that was shown."""
        return Entry(self.line, self.digest, self.case)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a review is: of `total` lines that were to be reviewed `done` are."""

    done: int
    total: int
    counts: Mapping[str, int]

    @classmethod
    def of(cls, review: Review) -> Progress:
        counts = review.counts
        done = sum(counts.get(verdict, 0) for verdict in VERDICTS)
        return cls(done, done + counts.get(PENDING, 0), counts)

    @property
    def percent(self) -> float:
        return 100 * self.done / self.total if self.total else 0.0


def next_of(review: Review, after: int) -> Entry | None:
    """The first line behind one that waits for review, from the top again at the end; None where none waits."""
    pending = review.pending
    return next((entry for entry in pending if entry.number > after), pending[0] if pending else None)


def fields_of(entry: Entry, address: str) -> list[Value]:
    """The inputs of a case as labelled values."""
    return [
        Value(name, shown(value), f"{address}?{urlencode({'case': entry.id, 'raw': name})}")
        for name, value in list(entry.inputs.items())[:_MOST_FIELDS]
    ]


def facts_of(entry: Entry) -> list[Fact]:
    """What else is known of a case, in short."""
    return [
        Fact(name, pretty(value)[:400])
        for name, value in entry.metadata.items()
        if name not in _HIDDEN and value not in (None, "", [], {})
    ][:_MOST_FIELDS]
