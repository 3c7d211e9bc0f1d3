"""What is dropped with age, and on demand: details, payloads, whole runs, and the blobs that nobody refers to then.

Everything goes in small transactions beside runs that go on. A run that is being pruned is marked first, so that a
prune that was killed is finished by the next one. A pruned payload keeps the chain, as the row's hash covers its
digest; a pruned run leaves its row in `runs` with its last hash.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, cast

from surefoot.ledger import delivery_upkeep, scored_upkeep
from surefoot.ledger.bookkeeping import count_accounts, drop_accounts, forget_principals
from surefoot.ledger.changing import change_run
from surefoot.ledger.compacting import empty_log
from surefoot.ledger.prompt_upkeep import count_prompts, drop_prompts
from surefoot.ledger.selecting import BEGUN, Condition, Selection, page_of
from surefoot.ledger.sweeping import sweep
from surefoot.ledger.tables import Session, SqliteTables, Tables, one
from surefoot.values import first_id

Level = Literal["details", "payloads", "runs"]

Progress = Callable[[str, int], None]
"""Told what is being dropped, and how many were so far."""

ENDED = ("completed", "failed", "cancelled")
"""Statuses of runs that may be pruned. All others are still to be gone on with."""

_PAGE = 100
_ROWS = 500
_SHARE_SECONDS = 0.05
_LONGEST_PAUSE = 0.2

# A run that another one waits for, or began, is needed until that one has ended too.
_IS_ENDED = (
    "runs.status IN ('completed', 'failed', 'cancelled') AND NOT EXISTS (SELECT 1 FROM runs AS parent "
    "WHERE parent.id = runs.parent_run AND parent.status NOT IN ('completed', 'failed', 'cancelled'))"
)
_PAYLOAD_BYTES = (
    "coalesce(length(inputs_view), 0) + coalesce(length(inputs_sealed), 0) "
    "+ coalesce(length(output_view), 0) + coalesce(length(output_sealed), 0)"
)
_HAS_PAYLOAD = (
    "(inputs_view IS NOT NULL OR inputs_sealed IS NOT NULL "
    "OR output_view IS NOT NULL OR (output_sealed IS NOT NULL))"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Drop this of the selected runs that ended before `before_ns` (nanoseconds since the epoch)."""

    what: Level
    before_ns: int
    selection: Selection = Selection()

    def condition(self) -> Condition:
        """The runs that it is about, whether something was dropped of them before or not."""
        term, parameters = self.selection.condition()
        # A run cannot end before its id is made: this lets the engine stop at the id.
        return (
            f"runs.id < ? AND runs.ended_ns < ? AND {_IS_ENDED} AND ({term})",
            (first_id(self.before_ns), self.before_ns, *parameters),
        )


@dataclass(slots=True)
class Dropped:
    """What was dropped, or would be. Bytes are as stored, without what the tables add to them.

    `untold` is what webhooks and receivers of traces were still owed of it, by their names.
    """

    details: int = 0
    payload_runs: int = 0
    payload_rows: int = 0
    payload_bytes: int = 0
    runs: int = 0
    rows: int = 0
    keys: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    accounts: int = 0
    prompt_uses: int = 0
    score_texts: int = 0
    untold: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def is_nothing(self) -> bool:
        return not any(getattr(self, entry.name) for entry in fields(self))


@dataclass(slots=True)
class Forgotten:
    """What was forgotten; `unfinished` are runs that were left alone, as somebody may still go on with them."""

    runs: int = 0
    dropped: Dropped = field(default_factory=Dropped)
    unfinished: list[str] = field(default_factory=list[str])


def prune(
    tables: Tables,
    rules: Sequence[Rule],
    *,
    now_ns: int,
    is_dry: bool = False,
    on_progress: Progress | None = None,
) -> Dropped:
    """Drop what the rules say, then the blobs and keys that nobody refers to. `is_dry` only counts.

    Runs that have not ended are never touched. Raises `LedgerError`.
    """
    dropped = Dropped()
    if tables.format() == 0:
        return dropped
    ordered = sorted(rules, key=lambda rule: ("details", "payloads", "runs").index(rule.what))
    if is_dry:
        _estimate(tables, ordered, dropped)
        return dropped
    pruner = _Pruner(tables, dropped, now_ns, on_progress)
    pruner.finish_begun()
    for rule in ordered:
        if rule.what == "details":
            pruner.drop_details(rule)
        else:
            pruner.drop_runs(rule)
    if whole := [rule for rule in rules if rule.what == "runs"]:
        dropped.accounts = drop_accounts(tables, before_ns=_before_ns(whole))
        dropped.prompt_uses = drop_prompts(tables, before_ns=_before_ns(whole))
    dropped.score_texts += scored_upkeep.drop_late_texts(tables)
    sweep(tables, dropped, on_progress=on_progress, pause=_pause)
    return dropped


def _before_ns(whole: Sequence[Rule]) -> int | None:
    """Before when accounts of periods go: only where the rule is about all runs."""
    return max((rule.before_ns for rule in whole if rule.selection.is_all), default=None)


def forget(
    tables: Tables,
    selection: Selection,
    *,
    now_ns: int,
    is_whole: bool = False,
    is_dry: bool = False,
    on_progress: Progress | None = None,
) -> Forgotten:
    """Make the selected runs unreadable: data keys first, at once, then payloads, details, messages, tags and names.

    Figures, step names and keys of steps stay, in the chain; with `is_whole` the rows go too. Raises `LedgerError`.
    """
    forgotten = Forgotten()
    if tables.format() == 0:
        return forgotten
    term, parameters = selection.condition()
    with tables.reading() as session:
        unfinished = session.rows(f"SELECT id FROM runs WHERE ({term}) AND NOT ({_IS_ENDED})", *parameters)
        forgotten.unfinished += [row[0] for row in unfinished]
    ended: Condition = (f"({term}) AND {_IS_ENDED}", parameters)
    if is_dry:
        _estimate_forgetting(tables, ended, forgotten, is_whole=is_whole)
        return forgotten
    pruner = _Pruner(tables, forgotten.dropped, now_ns, on_progress)
    after = ""
    while True:
        with tables.reading() as session:
            page = [cast("str", row[0]) for row in page_of(session, "id", ended, after=after, size=_PAGE)]
        if not page:
            break
        after = page[-1]
        with tables.writing() as session:
            forget_principals(tables, session, page)
            if scored_upkeep.has_scores(tables):
                scored_upkeep.forget_principals(session, page)
            for run_id in page:
                forgotten.runs += pruner.begin_forgetting(session, run_id, is_whole=is_whole)
    pruner.finish_begun()
    sweep(tables, forgotten.dropped, on_progress=on_progress, pause=_pause)
    if isinstance(tables, SqliteTables):
        empty_log(tables)
    return forgotten


class _Pruner:
    """Drops, a little at a time."""

    def __init__(self, tables: Tables, dropped: Dropped, now_ns: int, on_progress: Progress | None) -> None:
        self._tables = tables
        self._dropped = dropped
        self._now_ns = now_ns
        self._on_progress = on_progress
        self._has_scores = scored_upkeep.has_scores(tables)
        self._has_deliveries = delivery_upkeep.has_deliveries(tables)

    def finish_begun(self) -> None:
        """Go on with runs that are marked."""
        after = ""
        while True:
            condition: Condition = (f"runs.pruned LIKE '%{BEGUN}'", ())
            with self._tables.reading() as session:
                page = page_of(session, "id, pruned", condition, after=after, size=_PAGE)
            if not page:
                return
            for run_id, pruned in cast("list[tuple[str, str]]", page):
                after = run_id
                self._finish(run_id, is_whole=pruned == f"run{BEGUN}")

    def drop_details(self, rule: Rule) -> None:
        term, parameters = rule.condition()
        after = ""
        while True:
            with self._tables.reading() as session:
                found = session.rows(
                    "SELECT DISTINCT run_id FROM details WHERE run_id > ? AND EXISTS "
                    f"(SELECT 1 FROM runs WHERE runs.id = details.run_id AND {term}) ORDER BY run_id LIMIT {_PAGE}",
                    after,
                    *parameters,
                )
                page = [row[0] for row in found]
            if not page:
                return
            after = page[-1]
            with _Timed(), self._tables.writing() as session:
                for run_id in page:
                    self._dropped.details += session.change(
                        "DELETE FROM details WHERE run_id = ? AND EXISTS "
                        f"(SELECT 1 FROM runs WHERE runs.id = details.run_id AND {term})",
                        run_id,
                        *parameters,
                    )
            self._tell("details", self._dropped.details)

    def drop_runs(self, rule: Rule) -> None:
        """Payloads of runs, or their rows."""
        is_whole = rule.what == "runs"
        term, parameters = rule.condition()
        condition: Condition = (f"({term}) AND {_is_left(is_whole=is_whole)}", parameters)
        after = ""
        while True:
            with self._tables.reading() as session:
                page = [
                    cast("str", row[0]) for row in page_of(session, "id", condition, after=after, size=_PAGE)
                ]
            if not page:
                return
            after = page[-1]
            while page:
                page = self._drop_some(page, condition, is_whole=is_whole)

    def _drop_some(self, run_ids: list[str], condition: Condition, *, is_whole: bool) -> list[str]:
        """Drop the first of these runs that fit into one short transaction; the others."""
        began = time.monotonic()
        with _Timed(), self._tables.writing() as session:
            for place, run_id in enumerate(run_ids):
                if place and time.monotonic() - began > _SHARE_SECONDS:
                    return run_ids[place:]
                # Somebody may have gone on with it meanwhile.
                if self._begin(session, run_id, condition, is_whole=is_whole) and not self._go_on(
                    session, run_id, is_whole=is_whole
                ):
                    break
            else:
                return []
        self._finish(run_id, is_whole=is_whole)
        return run_ids[place + 1 :]

    def _begin(self, session: Session, run_id: str, condition: Condition, *, is_whole: bool) -> bool:
        term, parameters = condition
        changed = change_run(
            *(session, self._tables.notary, run_id),
            # The epoch too: a takeover that is under way would go on with nothing.
            "UPDATE runs SET epoch = epoch + 1, pruned_ns = ?, pruned = ?, "
            "head = coalesce(head, "
            "(SELECT hash FROM outcomes WHERE outcomes.run_id = runs.id ORDER BY seq DESC LIMIT 1)) "
            f"WHERE runs.id = ? AND ({term})",
            self._now_ns,
            ("run" if is_whole else "payloads") + BEGUN,
            run_id,
            *parameters,
        )
        if changed:
            self._dropped.keys += session.change("DELETE FROM data_keys WHERE run_id = ?", run_id)
            self._dropped.details += session.change("DELETE FROM details WHERE run_id = ?", run_id)
            session.change("DELETE FROM inbox WHERE run_id = ?", run_id)
            if self._has_scores:
                self._dropped.score_texts += scored_upkeep.drop_texts(session, run_id)
        return changed > 0

    def begin_forgetting(self, session: Session, run_id: str, *, is_whole: bool) -> bool:
        """Drop a run's keys and whatever names somebody; the rest is marked to go."""
        is_ended: Condition = (_IS_ENDED, ())
        change_run(
            *(session, self._tables.notary, run_id),
            "UPDATE runs SET principal = '', session = '', tags = '{}', error = NULL "
            f"WHERE runs.id = ? AND {_IS_ENDED}",
            run_id,
        )
        session.change("DELETE FROM run_tags WHERE run_id = ?", run_id)
        term = f"{_IS_ENDED} AND {_is_left(is_whole=is_whole)}"
        return self._begin(session, run_id, (term, ()), is_whole=is_whole) or self._is_there(
            session, run_id, is_ended
        )

    @staticmethod
    def _is_there(session: Session, run_id: str, condition: Condition) -> bool:
        return bool(page_of(session, "id", (f"runs.id = ? AND {condition[0]}", (run_id,)), after="", size=1))

    def _finish(self, run_id: str, *, is_whole: bool) -> None:
        is_done = False
        while not is_done:
            with _Timed(), self._tables.writing() as session:
                is_done = self._go_on(session, run_id, is_whole=is_whole)

    def _go_on(self, session: Session, run_id: str, *, is_whole: bool) -> bool:
        """Drop some rows of a marked run; whether these were the last, and the run has its final mark."""
        which = (
            f"seq IN (SELECT seq FROM outcomes WHERE run_id = ? {'' if is_whole else f'AND {_HAS_PAYLOAD}'} "
            f"ORDER BY seq LIMIT {_ROWS})"
        )
        number, size, held = one(
            session,
            f"SELECT count(*), coalesce(sum({_PAYLOAD_BYTES}), 0), "
            f"coalesce(sum(CASE WHEN {_HAS_PAYLOAD} THEN 1 ELSE 0 END), 0) FROM outcomes WHERE {which}",
            run_id,
        )
        self._dropped.payload_rows += held
        self._dropped.payload_bytes += size
        if is_whole:
            self._dropped.rows += number
            session.change(f"DELETE FROM outcomes WHERE {which}", run_id)
        else:
            session.change(
                "UPDATE outcomes SET inputs_view = NULL, inputs_sealed = NULL, output_view = NULL, "
                f"output_sealed = NULL WHERE {which}",
                run_id,
            )
        if number == _ROWS:
            return False
        session.change("UPDATE runs SET pruned = ? WHERE id = ?", "run" if is_whole else "payloads", run_id)
        if is_whole:
            if self._has_deliveries:
                untold = self._dropped.untold
                delivery_upkeep.drop_deliveries(session, run_id, untold, now_ns=self._now_ns)
            self._dropped.runs += 1
        else:
            self._dropped.payload_runs += 1
        self._tell("runs", self._dropped.runs + self._dropped.payload_runs)
        return True

    def _tell(self, what: str, number: int) -> None:
        if self._on_progress is not None:
            self._on_progress(what, number)


class _Timed:
    """Around a transaction: as long as it took, others come first."""

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        _pause(time.monotonic() - self._began)


def _pause(taken: float) -> None:
    time.sleep(min(taken, _LONGEST_PAUSE))


def _is_left(*, is_whole: bool) -> str:
    """The term for runs of which something is left to drop."""
    return "(runs.pruned IS NULL OR runs.pruned = 'payloads')" if is_whole else "runs.pruned IS NULL"


def _estimate(tables: Tables, rules: Sequence[Rule], dropped: Dropped) -> None:
    """Count what the rules would drop."""
    doomed: list[Condition] = []
    whole: list[Condition] = []
    detailed: list[Condition] = []
    begun: Condition = (f"runs.pruned LIKE '%{BEGUN}'", ())
    for rule in rules:
        term, parameters = rule.condition()
        condition: Condition = (f"({term}) AND {_is_left(is_whole=rule.what == 'runs')}", parameters)
        detailed.append(rule.condition() if rule.what == "details" else condition)
        if rule.what != "details":
            doomed.append(condition)
        if rule.what == "runs":
            whole.append(condition)
    with tables.reading() as session:
        payload_rules = [c for c in doomed if c not in whole]
        _count(session, dropped, payload=payload_rules, whole=whole, detailed=detailed, begun=begun)
        dropped.untold |= delivery_upkeep.count_untold(tables, session, _going(whole))
    if rules_of_runs := [rule for rule in rules if rule.what == "runs"]:
        dropped.accounts = count_accounts(
            tables, any_of([*whole, begun]), before_ns=_before_ns(rules_of_runs)
        )
        dropped.prompt_uses = count_prompts(tables, before_ns=_before_ns(rules_of_runs))
    dropped.score_texts = scored_upkeep.count_texts(tables, any_of([*doomed, begun]))
    sweep(tables, dropped, without=any_of([*doomed, begun]), is_dry=True)


def _estimate_forgetting(tables: Tables, ended: Condition, forgotten: Forgotten, *, is_whole: bool) -> None:
    term, parameters = ended
    left: Condition = (f"({term}) AND {_is_left(is_whole=is_whole)}", parameters)
    nothing: Condition = ("1 = 0", ())
    with tables.reading() as session:
        forgotten.runs = one(session, f"SELECT count(*) FROM runs WHERE {term}", *parameters)[0]
        _count(
            session,
            forgotten.dropped,
            payload=[] if is_whole else [left],
            whole=[left] if is_whole else [],
            detailed=[left],
            begun=nothing,
        )
        if is_whole:
            forgotten.dropped.untold |= delivery_upkeep.count_untold(tables, session, left)
    forgotten.dropped.score_texts = scored_upkeep.count_texts(tables, left)
    sweep(tables, forgotten.dropped, without=left, is_dry=True)


def _count(
    session: Session,
    dropped: Dropped,
    *,
    payload: Sequence[Condition],
    whole: Sequence[Condition],
    detailed: Sequence[Condition],
    begun: Condition,
) -> None:
    """Count the rows of runs by what becomes of them."""
    term, parameters = any_of([*payload, (f"runs.pruned = 'payloads{BEGUN}'", ())])
    dropped.payload_runs = one(session, f"SELECT count(*) FROM runs WHERE {term}", *parameters)[0]
    term, parameters = _going(whole)
    dropped.runs = one(session, f"SELECT count(*) FROM runs WHERE {term}", *parameters)[0]
    dropped.rows = one(
        session,
        f"SELECT count(*) FROM outcomes WHERE run_id IN (SELECT id FROM runs WHERE {term})",
        *parameters,
    )[0]
    term, parameters = any_of([*payload, *whole, begun])
    dropped.payload_rows, dropped.payload_bytes = one(
        session,
        f"SELECT count(*), coalesce(sum({_PAYLOAD_BYTES}), 0) FROM outcomes "
        f"WHERE {_HAS_PAYLOAD} AND run_id IN (SELECT id FROM runs WHERE {term})",
        *parameters,
    )
    dropped.keys = one(
        session,
        f"SELECT count(*) FROM data_keys WHERE run_id IN (SELECT id FROM runs WHERE {term})",
        *parameters,
    )[0]
    term, parameters = any_of([*detailed, begun])
    dropped.details = one(
        session,
        f"SELECT count(*) FROM details WHERE run_id IN (SELECT id FROM runs WHERE {term})",
        *parameters,
    )[0]


def _going(whole: Sequence[Condition]) -> Condition:
    """The runs whose rows go, with those of which some are gone."""
    return any_of([*whole, (f"runs.pruned = 'run{BEGUN}'", ())])


def any_of(conditions: Sequence[Condition]) -> Condition:
    """The runs that one of the conditions finds."""
    if not conditions:
        return "1 = 0", ()
    return (
        " OR ".join(f"({term})" for term, _ in conditions),
        tuple(value for _, parameters in conditions for value in parameters),
    )
