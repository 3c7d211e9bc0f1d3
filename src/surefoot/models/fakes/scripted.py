"""`scripted`: a model that answers from a script, in every provider's format, without network and credentials."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Self, TypeAlias, cast

from surefoot.errors import UnexpectedCall, UsageError
from surefoot.locks import ForkSafeLock
from surefoot.models.chain.record import Answer
from surefoot.models.fakes.entries import Breaks, Calls, Entry, Fails, Says, answer_to, tool_calls
from surefoot.models.fakes.requests import ModelRequest
from surefoot.models.fakes.standing import Given, block
from surefoot.models.generating.asking import Finish, Logprob, Turn
from surefoot.values import Usage

Rule: TypeAlias = Callable[[ModelRequest], object]
"""From what is asked to what is answered, or to an awaitable of it."""

_LISTED = 5


class Script:
    """A model that `scripted` made. `with script:` lets it answer every model call of the code inside.

    It is asked once for each attempt that is made, retries included; a resume that finds a call recorded does not ask.
    Several calls at a time are answered in the order in which they arrive, from whatever task or thread.
    """

    def __init__(self, answers: Iterable[Entry] | Rule) -> None:
        if isinstance(answers, str | bytes | Mapping):
            raise UsageError(
                "a script is a list of answers or a function, not one text or mapping: scripted([...])"
            )
        self._rule = answers if callable(answers) else None
        self._answers: tuple[Entry, ...] = () if callable(answers) else tuple(answers)
        self._requests: list[ModelRequest] = []
        self._refused: list[ModelRequest] = []
        self._lock = ForkSafeLock()
        self._entered: list[AbstractContextManager[None]] = []

    @property
    def requests(self) -> tuple[ModelRequest, ...]:
        """What was asked so far, in the order of arrival: `messages`, `text`, `model`, `tools`, `body`."""
        with self._lock:
            return tuple(self._requests)

    def assert_done(self) -> None:
        """Raise `UnexpectedCall` unless every answer was asked for, and no more than these."""
        with self._lock:
            asked, refused = len(self._requests) - len(self._refused), list(self._refused)
        if refused:
            raise UnexpectedCall(
                f"the script has {_counted(len(self._answers))}, and was asked {len(refused)} times more: "
                + "; ".join(map(str, refused[:_LISTED]))
            )
        if self._rule is None and asked < len(self._answers):
            left = ", ".join(repr(entry)[:80] for entry in self._answers[asked : asked + _LISTED])
            raise UnexpectedCall(
                f"the script has {_counted(len(self._answers))}, and only {asked} of them were asked for; left: {left}"
            )

    def answer(self, asked: ModelRequest, /) -> Given | Awaitable[Given]:
        """See `Fake.answer`. Raises `UnexpectedCall` where the script is at its end."""
        with self._lock:
            self._requests.append(asked)
            number = len(self._requests)
            is_over = self._rule is None and number > len(self._answers)
            if is_over:
                self._refused.append(asked)
        if is_over:
            raise UnexpectedCall(
                f"the script has {_counted(len(self._answers))}, and this is request {number}, {asked}: add an answer, "
                "or look why the code asks once more (retries count too)"
            )
        if self._rule is None:
            return answer_to(asked, self._answers[number - 1], number)
        entry = self._rule(asked)
        if isinstance(entry, Awaitable):
            return _awaited(asked, cast("Awaitable[object]", entry), number)
        return answer_to(asked, entry, number)

    def __enter__(self) -> Self:
        entered = block(self)
        entered.__enter__()
        self._entered.append(entered)
        return self

    def __exit__(self, *raised: object) -> None:
        # What was raised is not its business, and goes on behind it.
        self._entered.pop().__exit__(None, None, None)

    def __repr__(self) -> str:
        return f"<script of {'a function' if self._rule else _counted(len(self._answers))}>"


class Scripted:
    """See `scripted`."""

    def __call__(self, answers: Iterable[Entry] | Rule, /) -> Script:
        """A model that gives these answers, one for each request, in the format of whichever provider is asked.

        answers: a list, or a function from the `ModelRequest` to an answer (an async one where async code asks). An
            answer is a text; a dict, pydantic model or other data, which is answered as JSON; `scripted.calls(...)`,
            or a list of several; `scripted.says(...)`, `.fails(...)` or `.breaks(...)`; an exception, which is raised
            as the HTTP library would raise it (`ConnectionError`, `TimeoutError`); for embeddings a list of numbers.

        Given as `using=` it answers one `generate`; in a `with` block every model call of the code inside, those of
        SDK clients included, in runs and outside. No request leaves, and no credential is looked for.

        Calls are recorded, retried and replayed as any. Tokens are counted as one for each 4 characters, rounded up,
        and cost nothing, unless `scripted.says(..., usage=...)` gives them: those are priced as the model's.

        Raises `UsageError` for what is no script; a call beyond its end raises `UnexpectedCall`.
        """
        return Script(answers)

    def says(
        self,
        text: str = "",
        *,
        calls: Sequence[Calls] = (),
        usage: Usage | None = None,
        finish: Finish = "stop",
        reasoning: str = "",
        refusal: str = "",
        model: str = "",
        logprobs: Sequence[tuple[str, float]] = (),
    ) -> Says:
        """An answer with all that it may hold. `model` is the one that claims to have answered, else the one asked.

        `logprobs` are the answer's tokens, each with its log-probability (natural).
        """
        turn = Turn(
            text,
            "tools" if calls else finish,
            tool_calls(calls),
            refusal=refusal,
            logprobs=tuple(Logprob(token, logprob) for token, logprob in logprobs),
            reasoning=reasoning,
            model=model,
        )
        return Says(turn, usage)

    def calls(self, tool: str, /, **arguments: object) -> Calls:
        """An answer that asks for a tool. For several at once, give a list of these."""
        return Calls(tool, arguments)

    def fails(
        self,
        status: int,
        message: str = "",
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fails:
        """An HTTP failure (429, 500, ...) with a body as the provider writes it; `retry_after` is in seconds."""
        if status < 400:
            raise UsageError(f"{status} is no status of a failure: give 400 or more")
        named = {name.lower(): value for name, value in (headers or {}).items()}
        waiting = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        return Fails(status, message, waiting | named)

    def breaks(self, after: str = "") -> Breaks:
        """An answer whose body breaks off, as where the connection is lost: a stream does so behind the text."""
        return Breaks(after)

    def __repr__(self) -> str:
        return "<function surefoot.scripted>"


scripted = Scripted()


async def _awaited(asked: ModelRequest, entry: Awaitable[Entry], number: int) -> Answer:
    return answer_to(asked, await entry, number)


def _counted(answers: int) -> str:
    return "1 answer" if answers == 1 else f"{answers} answers"
