"""Effects that were begun and of which nobody knows whether they were done: asking, saying so, deciding."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, cast

from surefoot import ledger as records
from surefoot.errors import InDoubt, UsageError
from surefoot.flows.claims import StepClaim
from surefoot.flows.drive import Body, Logic
from surefoot.flows.openrun import Doubt, OpenRun
from surefoot.flows.recall import Recall
from surefoot.ledger import Append, Entry, Freight, Ledger, Outcome, Pending, RunRecord
from surefoot.values import Done

Decision: TypeAlias = "Done | Literal['retry']"
"""What somebody found out of an effect in doubt: it was done, with this result; or it was not, and is to be done."""

_SHOWN = 120


def settle(claim: StepClaim, check: Callable[[str], Any] | None) -> Logic[Done | None]:
    """Whether an effect was done: its result, or None if it was not. Raises `InDoubt` where nobody knows."""
    if check is None:
        raise _undecided(claim)
    try:
        said: Any = yield Body(lambda: check(claim.idempotency_key))
    except Exception as error:
        raise _undecided(claim, f"its check raised {type(error).__name__}: {error}") from error
    if said is True:
        return Done()
    if isinstance(said, Done):
        return said
    if said is None or said is False:
        return None
    what = type(said).__name__
    raise _undecided(claim, f"its check gave a value of {what}, and not True, False, None or Done(result)")


def _undecided(claim: StepClaim, because: str = "") -> InDoubt:
    run = claim.run
    run.doubts[claim.key] = replace(run.doubts[claim.key], because=because)
    return run.poisoned(in_doubt(run))


def in_doubt(run: OpenRun) -> InDoubt:
    """The error that names all effects of the run that are in doubt, and says how to decide each."""
    names = selectors(run.doubts.values())
    lines = [_line(doubt) for doubt in run.doubts.values()]
    one = len(names) == 1
    what = lines[0] if one else f"{len(names)} steps"
    text = (
        f"run {run.id} is in doubt: {what} {'was' if one else 'were'} begun, and nobody knows whether "
        f"{'it was' if one else 'they were'} done. Find out, then say so:"
    )
    for name, line in zip(names, lines, strict=True):
        done, retry = deciding(run.id, name, run.entry)
        text += "" if one else f"\n  {line}"
        text += f"\n  {done}   if it was done\n  {retry}   if it was not, to do it now"
    return InDoubt(text, run_id=run.id, steps=names)


def deciding(run_id: str, name: str, entry: Entry | None) -> tuple[str, str]:
    """What a person writes to decide one effect: that it was done, and that it is to be done."""
    if entry is not None and entry.is_typed_in:
        call = f'app.resume("{run_id}", flow={entry.qualname.rpartition(".")[2]}, decisions='
        return f'{call}{{"{name}": Done(RESULT)}})', f'{call}{{"{name}": "retry"}})'
    command = (
        f"surefoot resume {run_id} --step {name!r}"
        if " " in name
        else f"surefoot resume {run_id} --step {name}"
    )
    return f"{command} --done JSON", f"{command} --retry"


def selectors(doubts: Iterable[Doubt]) -> tuple[str, ...]:
    """Under what each can be named: the step's name, or the beginning of its key where the name is another's too."""
    all_of_them = list(doubts)
    names = [doubt.name for doubt in all_of_them]
    keys = [doubt.key.hex() for doubt in all_of_them]
    length = next((n for n in range(8, 33) if len({key[:n] for key in keys}) == len(keys)), 32)
    return tuple(
        name if names.count(name) == 1 else key[:length] for name, key in zip(names, keys, strict=True)
    )


def doubts_of(ledger: Ledger, outcomes: Sequence[Outcome]) -> dict[bytes, Doubt]:
    """Recorded intents as doubts, by key."""
    return {o.key: Doubt(o.key, o.name, ledger.view(o.inputs)) for o in outcomes}


def find(doubts: Mapping[bytes, Doubt], selector: str, *, run_id: str) -> Doubt:
    """The effect that somebody means by its name or the beginning of its key. Raises `UsageError`."""
    found = [doubt for doubt in doubts.values() if doubt.name == selector]
    if not found and selector:
        found = [doubt for doubt in doubts.values() if doubt.key.hex().startswith(selector.lower())]
    if len(found) == 1:
        return found[0]
    if not doubts:
        raise UsageError(f"run {run_id} has no step in doubt: `surefoot resume {run_id}` goes on with it")
    known = selectors(doubts.values())
    listed = "; ".join(
        f"{name} ({doubt.name} of {_shown(doubt.inputs)})"
        for name, doubt in zip(known, doubts.values(), strict=True)
    )
    how = "means several steps" if found else "is none of them"
    raise UsageError(f"run {run_id}: in doubt are {listed}; {selector!r} {how}: name one of them")


def check_decisions(ledger: Ledger, run: RunRecord, decisions: Mapping[str, Decision]) -> None:
    """Raise `UsageError` unless each decision names one effect of the run that is in doubt. Changes nothing."""
    if decisions:
        if run.status == "completed":
            raise UsageError(f"run {run.id} is completed: there is nothing to decide any more")
        doubts = doubts_of(ledger, Recall(ledger.outcomes(run.id)).in_doubt)
        for selector, decision in decisions.items():
            find(doubts, selector, run_id=run.id)
            given = cast("object", decision)
            if given != "retry" and not isinstance(given, Done):
                raise UsageError(f"decision for {selector!r} is {given!r}: give Done(result) or 'retry'")


def decide(
    run: OpenRun, history: Sequence[Outcome], decisions: Mapping[str, Decision]
) -> list[tuple[Outcome, Pending]]:
    """Record what somebody found out, as outcomes of the attempts in doubt. Raises `UsageError`, `NotData`."""
    if not decisions:
        return []
    intents = Recall(history).in_doubt
    doubts = doubts_of(run.ledger, intents)
    decided: list[tuple[Outcome, Freight]] = []
    for selector, decision in decisions.items():
        doubt = find(doubts, selector, run_id=run.id)
        intent = next(intent for intent in intents if intent.key == doubt.key)
        decided.append(_outcome(run, intent, decision))
    return [(outcome, run.ledger.submit(Append(outcome, freight))) for outcome, freight in decided]


def _outcome(run: OpenRun, intent: Outcome, decision: Decision) -> tuple[Outcome, Freight]:
    freight: Freight = []
    now = time.time_ns()
    result = decision.result if isinstance(decision, Done) else None
    text = records.encode(result, name=f"the result of {intent.name}()")
    return (
        replace(
            intent,
            status="completed" if isinstance(decision, Done) else "cancelled",
            retry_at_ns=None if isinstance(decision, Done) else now,
            epoch=run.epoch,
            started_ns=now,
            ended_ns=now,
            output=run.ledger.payloads.store(
                *(run.id, text, freight),
                tenant=run.tenant,
                capture=records.capture_of(intent.inputs) or run.capture,
            ),
        ),
        freight,
    )


def _line(doubt: Doubt) -> str:
    because = f" ({doubt.because})" if doubt.because else ""
    return f"step {doubt.name!r} of {_shown(doubt.inputs)}{because}"


def _shown(inputs: str) -> str:
    return inputs if len(inputs) <= _SHOWN else f"{inputs[:_SHOWN]}…"
