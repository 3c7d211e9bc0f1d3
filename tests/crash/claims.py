"""What is claimed of a load that was killed over and over: each claim finds what speaks against it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orders
from evidence import Evidence, Row

Against = Callable[[Evidence], Iterator[str]]


@dataclass(frozen=True)
class Claim:
    """A sentence, and what speaks against it in the evidence."""

    sentence: str
    against: Against


CLAIMS: list[Claim] = []


def claim(sentence: str) -> Callable[[Against], Against]:
    def add(against: Against) -> Against:
        CLAIMS.append(Claim(sentence, against))
        return against

    return add


def completed(evidence: Evidence) -> Iterator[Row]:
    """The outcomes by which steps are done."""
    return (row for row in evidence.rows if row.kind == "step" and row.status == "completed")


def recorded(evidence: Evidence) -> dict[tuple[str, str], Row]:
    """The outcome by which each step of each run is done, by run and name."""
    return {(row.run_id, row.name): row for row in completed(evidence)}


def settled_doubts(evidence: Evidence) -> Iterator[Row]:
    """How attempts at effects ended that had been begun before a takeover and were found out about behind it."""
    since: dict[tuple[str, int], int] = {}
    for row in evidence.rows:
        if row.kind == "step" and row.name in orders.EFFECTS:
            attempt = (row.idempotency_key, row.attempt)
            if row.status == "running":
                since[attempt] = row.epoch
            elif since.get(attempt) != row.epoch:
                yield row


@claim("every order has one run, which has completed")
def one_run_each(evidence: Evidence) -> Iterator[str]:
    found = Counter(run.key for run in evidence.runs)
    for number in range(evidence.orders):
        if (runs := found.pop(orders.key_of(number), 0)) != 1:
            yield f"{orders.key_of(number)} has {runs} runs"
    yield from (f"nobody ordered {key}" for key in found)
    yield from (
        f"run {run.id} of {run.key} is {run.status}" for run in evidence.runs if run.status != "completed"
    )


@claim("every run has its ten steps, each done exactly once")
def ten_steps_each(evidence: Evidence) -> Iterator[str]:
    done = Counter((row.run_id, row.name) for row in completed(evidence))
    for run in evidence.runs:
        for name in orders.STEPS:
            if (times := done.pop((run.id, name), 0)) != 1:
                yield f"run {run.id} of {run.key}: step {name} is done {times} times"
    yield from (f"run {run_id}: step {name} is none of the flow's" for run_id, name in done)


@claim("no step has two outcomes of one attempt, and none begins behind its outcome")
def no_attempt_twice(evidence: Evidence) -> Iterator[str]:
    seen: set[tuple[str, str, int, bool]] = set()
    for row in evidence.rows:
        is_intent = row.status == "running" and row.kind != "start"
        mark = (row.run_id, row.key, row.attempt, is_intent)
        if mark in seen:
            yield f"{row.idempotency_key}: attempt {row.attempt} of {row.name} is recorded twice"
        if is_intent and (*mark[:3], False) in seen:
            yield f"{row.idempotency_key}: attempt {row.attempt} of {row.name} begins behind its outcome"
        seen.add(mark)


@claim("nobody wrote to a run that another process had taken over")
def no_epoch_goes_back(evidence: Evidence) -> Iterator[str]:
    last: dict[str, int] = {}
    for row in evidence.rows:
        if row.epoch < last.get(row.run_id, 0):
            yield f"run {row.run_id}: {row.name} of epoch {row.epoch} stands behind epoch {last[row.run_id]}"
        last[row.run_id] = row.epoch


@claim("no acknowledged outcome is lost or changed")
def nothing_acknowledged_is_lost(evidence: Evidence) -> Iterator[str]:
    known = recorded(evidence)
    for run_id, name, value in evidence.acknowledged:
        row = known.get((run_id, name))
        if row is None:
            yield f"run {run_id}: {name} was acknowledged with {value!r} and is not in the ledger"
        elif row.output != value:
            yield f"run {run_id}: {name} was acknowledged with {value!r}, and the ledger has {row.output!r}"


@claim("no step was executed again once its outcome was recorded")
def nothing_recorded_is_done_again(evidence: Evidence) -> Iterator[str]:
    executions: dict[str, list[str]] = defaultdict(list)
    for key, _, token in evidence.executed:
        executions[key].append(token)
    for row in completed(evidence):
        if row.name in orders.DEFAULT:
            tokens = executions.pop(row.idempotency_key, [])
            # Each execution has a token of its own: one behind the recorded one is one too many.
            if tokens[-1:] != [row.output]:
                yield f"{row.idempotency_key}: {row.name} is recorded as {row.output!r}, executed were {tokens}"
            if len(tokens) > 1 + evidence.kills:
                yield f"{row.idempotency_key}: {row.name} was executed {len(tokens)} times"
    yield from (f"{key} was executed and is not recorded" for key in executions)


@claim("no model call was paid again once its answer was recorded")
def nothing_answered_is_asked_again(evidence: Evidence) -> Iterator[str]:
    answers: dict[str, list[str]] = defaultdict(list)
    for question, token in evidence.answered:
        answers[question].append(token)
    calls: dict[str, list[Row]] = defaultdict(list)
    for row in evidence.rows:
        if row.kind == "call":
            calls[f"{row.run_id}-{row.parent}"].append(row)
    known = recorded(evidence)
    for run in evidence.runs:
        asking = known.get((run.id, "ask"))
        if asking is None or not orders.has_model(orders.number_of(run.key)):
            continue
        tokens, rows = answers.pop(asking.idempotency_key, []), calls.pop(asking.idempotency_key, [])
        if len(rows) != 1 or not tokens or tokens[-1] not in str(rows[0].output):
            yield f"{asking.idempotency_key}: the answers were {tokens}, recorded is {[row.output for row in rows]}"
        if len(tokens) > 1 + evidence.kills:
            yield f"{asking.idempotency_key}: the model was asked {len(tokens)} times"
    yield from (f"{question} was asked by nobody" for question in {*answers, *calls})


@claim("what is computed from its inputs alone is right")
def pure_steps_are_right(evidence: Evidence) -> Iterator[str]:
    known = recorded(evidence)
    for run in evidence.runs:
        row = known.get((run.id, "price"))
        if row is None or row.output != orders.number_of(run.key) * 7919 % 9973:
            yield f"run {run.id} of {run.key}: the price is {row and row.output!r}"


@claim("the rows of transaction steps are there exactly once, as recorded")
def business_rows_once(evidence: Evidence) -> Iterator[str]:
    known, rows = recorded(evidence), defaultdict[tuple[int, str], list[str]](list)
    for number, name, token in evidence.business:
        rows[number, name].append(token)
    for run in evidence.runs:
        for name in orders.TRANSACTIONS:
            found = rows.pop((orders.number_of(run.key), name), [])
            row = known.get((run.id, name))
            if row is None or found != [row.output]:
                yield f"{run.key}: {name} is recorded as {row and row.output!r}, its rows are {found}"
    yield from (f"{orders.key_of(number)}: {name} has rows and no run" for number, name in rows)


@claim("every transaction in a database of its own has one marker")
def markers_once(evidence: Evidence) -> Iterator[str]:
    found = Counter(evidence.markers)
    for row in completed(evidence):
        if row.name in evidence.marked_steps and (times := found.pop((row.run_id, row.key), 0)) != 1:
            yield f"{row.idempotency_key}: {row.name} has {times} markers"
    yield from (f"{run_id}-{key} has a marker and is not recorded" for run_id, key in found)


@claim("every effect happened exactly once, as recorded")
def effects_once(evidence: Evidence) -> Iterator[str]:
    happened: dict[str, list[str]] = defaultdict(list)
    for key, _, token in evidence.effects:
        happened[key].append(token)
    for row in completed(evidence):
        if row.name in orders.EFFECTS and (tokens := happened.pop(row.idempotency_key, [])) != [row.output]:
            yield f"{row.idempotency_key}: {row.name} is recorded as {row.output!r}, and in the world is {tokens}"
    yield from (f"{key} happened and is not recorded" for key in happened)


@claim("every effect's start is recorded before it, and how it ended behind it")
def effects_are_begun(evidence: Evidence) -> Iterator[str]:
    begun: dict[tuple[str, int], str] = {}
    for row in evidence.rows:
        if row.kind != "step" or row.name not in orders.EFFECTS:
            continue
        attempt = (row.idempotency_key, row.attempt)
        if row.status == "running":
            begun[attempt] = row.name
        elif begun.pop(attempt, None) is None:
            yield f"{row.idempotency_key}: attempt {row.attempt} of {row.name} ended and was never begun"
    for (key, number), name in begun.items():
        yield f"{key}: nobody knows how attempt {number} of {name} ended"


@claim("an effect without a check that a kill left in doubt was decided by somebody who had looked")
def doubts_are_decided(evidence: Evidence) -> Iterator[str]:
    decided = {(run_id, name, what) for run_id, name, what in evidence.decided}
    for row in settled_doubts(evidence):
        what = "done" if row.status == "completed" else "retry"
        if row.name == "mail" and (row.run_id, row.name, what) not in decided:
            yield f"{row.idempotency_key}: attempt {row.attempt} was taken for {what}, which nobody had said"


@claim("what callers were given is what the ledger says")
def outputs_are_recorded(evidence: Evidence) -> Iterator[str]:
    known, runs = recorded(evidence), {run.key: run.id for run in evidence.runs}
    ends = {
        row.run_id: row.output for row in evidence.rows if row.kind == "end" and row.status == "completed"
    }
    names = [name for name in orders.STEPS if name not in ("wrap", "label")]
    for key, output in evidence.returned:
        run_id = runs.get(key, "")
        values = [row.output if (row := known.get((run_id, name))) else None for name in names]
        if output != ends.get(run_id) or output != values:
            yield f"run {run_id} of {key} returned {output}, recorded are {ends.get(run_id)} and {values}"


@claim("`surefoot ledger verify` finds nothing")
def the_ledger_is_whole(evidence: Evidence) -> Iterator[str]:
    if evidence.verified.get("exit_code") != 0:
        yield f"it says {evidence.verified}"


@claim("no process met anything but being killed")
def no_troubles(evidence: Evidence) -> Iterator[str]:
    yield from (": ".join(trouble) for trouble in evidence.troubles)
