"""`recorded`: what models answered once, out of the ledger or a cassette's file, in place of the models."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Self

from surefoot.errors import ClosedEarly, SurefootError, UnexpectedCall
from surefoot.locks import ForkSafeLock
from surefoot.models.chain.record import Answer
from surefoot.models.fakes.cassette import Cassette, RecordedCall
from surefoot.models.fakes.differing import canonical, difference, keyless, nearest
from surefoot.models.fakes.requests import ModelRequest
from surefoot.models.fakes.standing import Given, NoAnswer, block
from surefoot.scope import Slot

cassettes: Slot[Callable[[str], Cassette]] = Slot("ledger to take recorded calls from")
"""Gives the calls of a run (an id, the beginning of one, or `last`) exactly as they were. Raises `UnknownRun`."""

readable: Slot[Callable[[str], str]] = Slot("privacy of recorded texts")
"""A text as people may read it: what a cassette's file holds."""

_FILES = (".json",)


class Recording:
    """Recorded answers that `recorded` found. `with recording:` lets them answer the calls of the code inside."""

    def __init__(self, cassette: Cassette, *, fill: bool = False) -> None:
        self.cassette = cassette
        self._fill = fill
        self._lock = ForkSafeLock()
        self._entered: list[AbstractContextManager[None]] = []
        self._requests: list[ModelRequest] = []
        self._unknown: list[ModelRequest] = []
        self._left: defaultdict[str, list[RecordedCall]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        for call in cassette.calls:
            # What is recorded readably is so already, and stays as it is.
            key = canonical(call.asked)
            self._left[key].append(call)
            self._counts[key] += 1

    @property
    def requests(self) -> tuple[ModelRequest, ...]:
        """What was asked so far, in the order of arrival, unknown requests included."""
        with self._lock:
            return tuple(self._requests)

    @property
    def unknown(self) -> tuple[ModelRequest, ...]:
        """What was asked and is not recorded: refused, or let through by `fill`."""
        with self._lock:
            return tuple(self._unknown)

    def assert_done(self) -> None:
        """Raise `UnexpectedCall` unless every recorded call was asked for."""
        with self._lock:
            left = [call.asked for calls in self._left.values() for call in calls]
        if left:
            raise UnexpectedCall(
                f"{len(left)} of the {len(self.cassette.calls)} calls in {self.cassette.source} were not asked for: "
                + "; ".join(map(str, left[:5]))
            )

    def answer(self, asked: ModelRequest, /) -> Given:
        """See `Fake.answer`. Raises `UnexpectedCall` for what is not recorded, unless it may be filled in."""
        key = canonical(asked)
        if self.cassette.is_readable:
            key = keyless(readable()(key))
        with self._lock:
            self._requests.append(asked)
            left = self._left.get(key)
            call = left.pop(0) if left else None
            if call is None:
                self._unknown.append(asked)
        if call is None:
            if self._fill:
                return None
            raise UnexpectedCall(self._refusal(asked, key))
        if call.answer is None:
            raise _final(call.error)
        return _replayed(call.answer, asked)

    def _refusal(self, asked: ModelRequest, key: str) -> str:
        source = self.cassette.source
        again = "record it again, or let it through with recorded(..., fill=True)"
        count = self._counts[key]
        if count:
            times = "once" if count == 1 else f"{count} times"
            return f"{asked}: it was made {times} in {source}, and is asked for once more; {again}"
        near = nearest(asked, [call.asked for call in self.cassette.calls])
        if near is None:
            return f"{asked}: no call of this kind is recorded in {source}; {again}"
        return (
            f"{asked}: this call is not recorded in {source}; {again}. What differs from the nearest one "
            f"(- recorded, + asked):\n{difference(near, asked, readable() if self.cassette.is_readable else str)}"
        )

    def __enter__(self) -> Self:
        entered = block(self)
        entered.__enter__()
        self._entered.append(entered)
        return self

    def __exit__(self, *raised: object) -> None:
        # What was raised is not its business, and goes on behind it.
        self._entered.pop().__exit__(None, None, None)

    def __repr__(self) -> str:
        return f"<recording of {len(self.cassette.calls)} calls in {self.cassette.source}>"


def recorded(source: str | PathLike[str] | Cassette, *, fill: bool = False) -> Recording:
    """The recorded answers of models, to be given again: `with recorded("tests/cassettes/summary.json"): ...`

    source: the file of a cassette (a path, or a text that ends in `.json`); a run in the ledger by its id, the
        beginning of it, or `last`, with its child runs; or a `Cassette`.
    fill: let a call that is not recorded through to its provider; in a run it is recorded as any call.

    A call is known by its path and its body; the host and the headers play no part. Equal calls are answered in the
    order in which they were recorded, streams as streams, failures as failures, without another attempt. Any other
    call raises `UnexpectedCall`, which shows what differs from the nearest recorded one.

    Raises `UnknownRun`, `RunPruned` where its bodies are gone, and `UsageError` for a file that is none.
    """
    if isinstance(source, Cassette):
        return Recording(source, fill=fill)
    name = fspath(source)
    if not isinstance(source, str) or name.endswith(_FILES):
        return Recording(Cassette.load(Path(name)), fill=fill)
    return Recording(cassettes()(name), fill=fill)


def _final(error: BaseException | None) -> BaseException:
    """An exception that a call ended in, after all of its attempts."""
    if isinstance(error, SurefootError):
        return error
    is_timeout = "Timeout" in type(error).__name__ and "Connect" not in type(error).__name__
    return NoAnswer(str(error), is_timeout=is_timeout)


def _replayed(answer: Answer, asked: ModelRequest) -> Answer:
    if answer.is_closed_early and answer.error is None:
        error = ClosedEarly(
            f"{asked}: its stream was closed before its end when it was recorded, and now more of it is read: read no "
            "further than then, or record it again"
        )
        return replace(answer, error=error)
    if answer.is_success:
        return answer
    # A failure that is on record is the last of its attempts.
    return replace(answer, headers={**answer.headers, "x-should-retry": "false"})
