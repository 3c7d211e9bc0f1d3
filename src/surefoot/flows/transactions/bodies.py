"""The functions of transaction steps: called without their connection, which they are given."""

from __future__ import annotations

import contextvars
import functools
import inspect
import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from surefoot import ledger as records
from surefoot.errors import UsageError
from surefoot.flows.claims import StepClaim
from surefoot.flows.concluding import Conclusion
from surefoot.flows.drive import Durable, Logic, drive, drive_async
from surefoot.flows.running import Here, open_scope
from surefoot.flows.transactions.databases import LEDGER, Face, databases, source_of
from surefoot.flows.transactions.marks import Mark
from surefoot.flows.transactions.sessions import Source
from surefoot.flows.transactions.transacting import Transaction, transact
from surefoot.ledger import SqliteLedger, Transacted, finished
from surefoot.ledger import Transact as LedgerTransact
from surefoot.locks import made_once
from surefoot.values import PromptRef

_open_body: ContextVar[str] = ContextVar("surefoot_transaction", default="")


@dataclass(frozen=True, slots=True)
class InLedger(Conclusion):
    """What a step on the ledger's own file gives in place of its result: the body for the ledger's writer to run."""

    body: Callable[[sqlite3.Connection], Any]
    what: str
    seconds: float

    def perform(self, claim: StepClaim, prompt: PromptRef | None) -> Logic[Any]:
        """The body's result, once it and the outcome are durable; its exception, once it is undone."""
        ticket = claim.transact(self.body, what=self.what, seconds=self.seconds, prompt=prompt)
        yield Durable(ticket)
        done = cast("Transacted", ticket.result())
        if done.error is not None:
            raise done.error
        if done.outcome is not None:
            claim.transacted(done.outcome)
        return done.value


class TransactionBody:
    """A function and the database that its first parameter is a connection to."""

    def __init__(self, function: Callable[..., Any], given: object, *, name: str) -> None:
        """Raises `UsageError` for a function without that parameter, and for a database that is none."""
        self.function = function
        self.name = name
        self.is_async = inspect.iscoroutinefunction(function)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(
                f"step {name!r} is a generator with transaction=, which has one result: return it"
            )
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        # The first parameter of a method is its object.
        self._place = 1 if parameters and parameters[0].name in ("self", "cls") else 0
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if len(parameters) <= self._place or parameters[self._place].kind not in positional:
            raise UsageError(
                f"step {name!r} has transaction= and no parameter for the connection: make it the first one"
            )
        self._parameter = parameters.pop(self._place)
        self.signature = signature.replace(parameters=parameters)
        self._given = given
        self._source = None if isinstance(given, str) else source_of(given)

    @made_once
    def face(self) -> Face:
        """Which connection the body wants. SQLAlchemy's is recognised by the annotation of its parameter."""
        if _is_alchemy(self._parameter, self.function):
            if self.is_async:
                raise UsageError(
                    f"step {self.name!r} is async and asks for a SQLAlchemy connection: write it as a plain function "
                    "(def), or take the connection of asyncpg"
                )
            return "sqlalchemy"
        return "async" if self.is_async else "sync"

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Logic[Any]:
        """Run the body in a transaction; inside a run it carries the marker of the step whose scope is open."""
        if around := _open_body.get():
            raise UsageError(
                f"step {self.name!r} has a transaction of its own and was called inside {around}: call it before or "
                "after, or make it a plain function that is given the connection"
            )
        here = open_scope()
        what = f"the transaction of step {self.name!r}"
        if here is not None:
            what = f"run {here.run.id}: {what}"
            if isinstance(self._given, str):
                here.require_use("database", self._given)

        def body(connection: object) -> Any:
            return self.function(*args[: self._place], connection, *args[self._place :], **kwargs)

        def closed() -> AbstractContextManager[object]:
            return _closed(here, what)

        ledger = _ledger(here) if self._given == LEDGER else None
        if isinstance(ledger, SqliteLedger):
            return (yield from self._in_ledger(ledger, here, body, closed, what))
        source = self._database()
        if here is None:
            return (yield from transact(Transaction(source, body, None, what, closed)))
        before_commit = here.run.unload
        return (
            yield from transact(
                Transaction(source, body, _mark(here, what), what, closed, before_commit=before_commit)
            )
        )

    def _database(self) -> Source:
        return self._source or databases().source(cast("str", self._given), self.face)

    def _in_ledger(
        self,
        ledger: SqliteLedger,
        here: Here | None,
        body: Callable[[object], Any],
        closed: Callable[[], AbstractContextManager[object]],
        what: str,
    ) -> Logic[Any]:
        if self.face == "sqlalchemy":
            raise UsageError(
                f"{what}: in the ledger's own file the connection is one of sqlite3, not of SQLAlchemy"
            )
        context = contextvars.copy_context()

        def run(connection: sqlite3.Connection) -> Any:
            with closed():
                result = body(connection)
                return finished(result, what) if self.is_async else result

        # Whichever thread writes for all runs it: it must see what the flow sees.
        def run_in_context(connection: sqlite3.Connection) -> Any:
            return context.run(run, connection)

        seconds = databases().body_seconds
        if here is not None:
            return InLedger(run_in_context, what, seconds)
        ticket = ledger.submit(LedgerTransact(what, run_in_context, seconds=seconds))
        yield Durable(ticket)
        done = cast("Transacted", ticket.result())
        if done.error is not None:
            raise done.error
        return done.value


def transactional(function: Callable[..., Any], given: object, *, name: str) -> Callable[..., Any]:
    """The function without its connection, which it gets from the database that `given` says."""
    body = TransactionBody(function, given, name=name)
    if body.is_async:

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await drive_async(body.call(args, kwargs))

        call: Callable[..., Any] = call_async
    else:

        @functools.wraps(function)
        def call_sync(*args: Any, **kwargs: Any) -> Any:
            return drive(body.call(args, kwargs))

        call = call_sync
    # `inspect.signature` asks for this.
    cast("Any", call).__signature__ = body.signature
    return call


@contextmanager
def _closed(here: Here | None, what: str) -> Generator[None]:
    """While a body runs, nothing that is recorded may begin in it: its undoing would not undo that."""
    token = _open_body.set(what)
    if here is not None:
        here.closed_by = what
    try:
        yield
    finally:
        if here is not None:
            here.closed_by = ""
        _open_body.reset(token)


def _ledger(here: Here | None) -> object:
    if here is not None:
        return here.run.ledger
    from surefoot.flows.host import host

    return host().ledger


def _mark(here: Here, what: str) -> Mark:
    """The marker of the step whose body runs in this scope."""
    run, key = here.run, here.path[-16:]
    payloads, place = run.ledger.payloads, f"{run.id}/{key.hex()}"

    def seal(result: object) -> bytes:
        here.check_admitted(what)
        return payloads.set_apart(
            records.encode(result, name=f"{here.name}()"), bound_to=place, capture=here.capture
        )

    def unseal(stored: bytes) -> object:
        return records.decode(payloads.read_apart(stored, bound_to=place))

    return Mark(
        run_id=run.id,
        step=key.hex(),
        epoch=run.epoch,
        inputs=run.pending[key].digest,
        may_be_there=run.epoch > 1,
        accepts_divergence=run.accepts_divergence,
        seal=seal,
        unseal=unseal,
    )


def _is_alchemy(parameter: inspect.Parameter, function: Callable[..., Any]) -> bool:
    annotation = parameter.annotation
    if isinstance(annotation, str):
        try:
            annotation = inspect.get_annotations(function, eval_str=True).get(parameter.name)
        except Exception:
            # Imported for the type checker only: then its spelling has to tell.
            return str(annotation).strip("\"'").startswith(("sqlalchemy.", "sa."))
    module: str = getattr(annotation, "__module__", "") if isinstance(annotation, type) else ""
    return module.partition(".")[0] == "sqlalchemy"
