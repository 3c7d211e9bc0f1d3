"""One transaction of the user's with its marker: exactly once, whoever else tries and whatever breaks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, cast

from surefoot.errors import Diverged, TransactionInDoubt, UsageError
from surefoot.flows.drive import Body, Durable, Logic, Pause
from surefoot.flows.retry import exponential
from surefoot.flows.transactions.marks import Found, Mark
from surefoot.flows.transactions.sessions import Session, Source
from surefoot.scope import Ticket

_TRIES = 10
_delay = exponential(base=0.02, cap=2.0)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A body for one database. `what` names the step in errors; `mark` is None outside of a run."""

    source: Source
    body: Callable[[object], Any]
    mark: Mark | None
    what: str
    closed: Callable[[], AbstractContextManager[object]]
    before_commit: Callable[[], Ticket | None] = lambda: None
    """Hands over what has to be in the ledger before its outcome is in the database."""


@dataclass(slots=True)
class _Turn:
    """How far one try has come."""

    is_in_body: bool = False
    is_committing: bool = False


def transact(given: Transaction) -> Logic[Any]:
    """The result of the body, committed with its marker; that of the marker where one is there already.

    The unique key of the markers decides between processes that run the body at the same time: the second one waits
    for the first, fails, undoes all that it did, and takes the result of the first. Serialization failures, deadlocks
    and locks are tried again, and so is a commit whose end nobody saw: the marker tells whether it happened.

    Raises `TransactionInDoubt` where that cannot be found out, and what the body raises.
    """
    must_look = given.mark is not None and given.mark.may_be_there
    is_in_doubt = False
    failures = 0
    while True:
        turn = _Turn()
        session: Session | None = None
        try:
            session = opened = cast("Session", (yield Body(given.source.open)))
            return (yield from _try(given, opened, turn, must_look=must_look))
        except Exception as error:
            failures += 1
            trouble = None if session is None or isinstance(error, UsageError) else session.trouble(error)
            if turn.is_committing and trouble == "lost":
                is_in_doubt = True
            is_again = trouble == "busy" or (trouble is not None and not turn.is_in_body) or is_in_doubt
            if not is_again or failures >= _TRIES:
                if is_in_doubt:
                    raise _doubt(given) from error
                if turn.is_in_body and given.mark is not None and given.mark.may_be_there:
                    found = yield from _look(given, given.mark)
                    if found is not None:
                        return _adopted(given, given.mark, found)
                raise
            must_look = given.mark is not None
        yield Pause(0.0 if trouble == "taken" else _delay(failures))


def _try(given: Transaction, session: Session, turn: _Turn, *, must_look: bool) -> Logic[Any]:
    """One try on one connection, which is given back."""
    try:
        result = yield from _inside(given, session, turn, must_look=must_look)
    except GeneratorExit:
        session.discard()
        raise
    except BaseException as error:
        is_good = False
        # The first error is the one that counts.
        with suppress(Exception):
            yield Body(session.rollback)
            is_good = session.trouble(error) != "lost"
        with suppress(Exception):
            yield Body(lambda: session.release(is_good=is_good))
        raise
    yield Body(lambda: session.release(is_good=True))
    return result


def _inside(given: Transaction, session: Session, turn: _Turn, *, must_look: bool) -> Logic[Any]:
    mark = given.mark
    if mark is not None and not given.source.is_prepared:
        yield Body(session.prepare)
        given.source.is_prepared = True
    yield Body(session.begin)
    if mark is not None and must_look:
        found: Found | None = yield Body(lambda: session.find(mark))
        if found is not None and (found.inputs == mark.inputs or not mark.accepts_divergence):
            yield Body(session.rollback)
            return _adopted(given, mark, found)
        if found is not None:
            yield Body(lambda: session.forget(mark))
    turn.is_in_body = True
    with given.closed(), session.lent(given.what) as connection:
        result = yield Body(lambda: given.body(connection))
    if not session.is_open:
        raise UsageError(
            f"{given.what} has ended its transaction itself, so that its writes and its outcome may differ: "
            "Surefoot commits; return to commit it, raise to undo it"
        )
    sealed = b"" if mark is None else mark.seal(result)
    turn.is_in_body = False
    if mark is not None:
        if (ticket := given.before_commit()) is not None:
            yield Durable(ticket)
        yield Body(lambda: session.insert(mark, sealed))
    turn.is_committing = True
    yield Body(session.commit)
    return result


def _look(given: Transaction, mark: Mark) -> Logic[Found | None]:
    """The marker, on a connection of its own. A body may have failed because another one had done its work."""
    session: Session = yield Body(given.source.open)
    try:
        yield Body(session.begin)
        found: Found | None = yield Body(lambda: session.find(mark))
        yield Body(session.rollback)
    except GeneratorExit:
        session.discard()
        raise
    except BaseException:
        yield Body(lambda: session.release(is_good=False))
        raise
    yield Body(lambda: session.release(is_good=True))
    return found


def _adopted(given: Transaction, mark: Mark, found: Found) -> object:
    if found.inputs != mark.inputs:
        raise Diverged(
            f"run {mark.run_id}: {given.what} was committed with other inputs, which its outcome does not show yet: "
            f"restore the code, or `surefoot resume {mark.run_id} --accept-divergence` to run it all the same"
        )
    return mark.unseal(found.result)


def _doubt(given: Transaction) -> TransactionInDoubt:
    return TransactionInDoubt(
        f"the connection broke while {given.what} was being committed, and its database does not answer: "
        "whether it was committed is found out by its marker when the run is resumed"
    )
