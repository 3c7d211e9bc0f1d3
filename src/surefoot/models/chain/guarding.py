"""What looks at a call before its request leaves and at its answer before it is handed over: protocols, and their use.

Guards know texts and nothing of formats; what the formats make of texts is in `asked_texts` and `spoken`. What is
recorded is the exact answer, and beside it what the guards made of it, which a replay hands over without asking them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from surefoot.decisions import Decision
from surefoot.effects import Program
from surefoot.models.chain.asked_texts import asked_in, asked_with
from surefoot.models.chain.slots import Said
from surefoot.models.chain.spoken import answer_with, said_in
from surefoot.models.chain.watching import Watch

if TYPE_CHECKING:
    from surefoot.errors import GuardRefused
    from surefoot.models.chain.record import Answer
    from surefoot.scope import Scope
    from surefoot.values import PromptRef


class CallGuard(Protocol):
    """The guards of one call. What they decide piles up in `decisions`."""

    @property
    def decisions(self) -> Sequence[Decision]: ...

    @property
    def max_output_bytes(self) -> int:
        """How many bytes an answer may have, decompressed."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether a stream has to be looked at as a whole, and nothing of it is handed on before its end."""
        ...

    def judge(self) -> Program[None]:
        """Ask a model what it thinks of the request, where one is to judge. It is a call of its own, recorded first."""
        ...

    def enter(self, size: int) -> Program[Mapping[str, str]]:
        """Look at the request, of `size` bytes, before it leaves: what takes the place of which of its texts.

        Raises `GuardRefused`.
        """
        ...

    def check(self, said: Sequence[Said]) -> Program[Mapping[str, str]]:
        """Look at all that an answer says: what takes the place of which of its texts. Raises `GuardRefused`."""
        ...

    def passing(self) -> Passing:
        """For one text of a stream, which is looked at as it comes."""
        ...

    def too_large(self) -> GuardRefused:
        """The refusal of an answer of more than `max_output_bytes`."""
        ...


class Passing(Protocol):
    """One text of a stream on its way through the guards that look at it as it comes."""

    def feed(self, piece: str, /) -> int:
        """A further piece; how many characters of the text may be handed on by now. Raises `GuardRefused`."""
        ...

    def end(self) -> None:
        """The text is at its end, and all of it may be handed on. Raises `GuardRefused`."""
        ...


class Guards(Protocol):
    """The guards of a project."""

    def guard(
        self,
        asked: Sequence[Said],
        here: Scope,
        /,
        *,
        operation: str,
        prompt: PromptRef | None,
        untrusted: str | None,
    ) -> CallGuard:
        """The guards of one call, by what it asks. Cheap: made at every call, also where its answer is recorded.

        `untrusted` names what of it is not trusted, and is empty where all of it is; None: the scope knows.
        """
        ...


@dataclass(slots=True)
class Guarded:
    """One call under its guards."""

    operation: str
    body: Mapping[str, object]
    guard: CallGuard

    @classmethod
    def of(
        cls,
        guards: Guards | None,
        here: Scope,
        *,
        operation: str,
        body: Mapping[str, object],
        prompt: PromptRef | None = None,
        untrusted: str | None = None,
    ) -> Guarded | None:
        """A call that is about to be made; None where nothing guards it."""
        if guards is None:
            return None
        asked = asked_in(operation, body)
        guard = guards.guard(asked, here, operation=operation, prompt=prompt, untrusted=untrusted)
        return cls(operation, body, guard)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was decided so far."""
        return tuple(self.guard.decisions)

    def enter(self, size: int) -> Program[bool]:
        """Look at the request before it leaves: whether `body` is another one now. Raises `GuardRefused`."""
        changes = yield from self.guard.enter(size)
        if changes:
            self.body = asked_with(self.operation, self.body, changes)
        return bool(changes)

    def watch(self, *, is_events: bool) -> Watch:
        """For the body of a stream."""
        return Watch(self, is_events)

    def checked(self, answer: Answer) -> Program[Answer]:
        """An answer with what the guards made of it. Raises `GuardRefused`."""
        if not answer.is_success:
            return answer
        if len(answer.body) > self.guard.max_output_bytes:
            raise self.guard.too_large()
        said = said_in(self.operation, answer.body)
        changes = yield from self.guard.check(said)
        if not changes:
            return answer
        return replace(answer, given=answer_with(self.operation, answer.body, changes))
