"""What the guards of calls are made of, as this room knows it: protocols that others fulfil."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from surefoot.effects import Program

Canary = Callable[[str, str], str]
"""The mark in the system messages of a prompt, from the tenant and the digest of the prompt."""


class Said(Protocol):
    """A text of a request or of an answer."""

    @property
    def text(self) -> str: ...

    @property
    def role(self) -> str: ...

    @property
    def place(self) -> int: ...

    @property
    def kind(self) -> str:
        """`text` and `reasoning`; `signed` (reasoning), `arguments` and `data` are looked at and not changed."""
        ...


class Looked(Protocol):
    """What a detector says of a text."""

    @property
    def score(self) -> float: ...

    @property
    def rules(self) -> tuple[str, ...]: ...

    @property
    def is_too_large(self) -> bool: ...


class Detector(Protocol):
    """Looks for attempts to take a model over."""

    def look(self, text: str, /) -> Looked: ...


class Found(Protocol):
    """That a text holds a secret or personal data, from the character `start` to before `end`."""

    @property
    def kind(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    @property
    def rule(self) -> str: ...

    @property
    def is_guess(self) -> bool:
        """Whether the words around it alone say so."""
        ...


class Finder(Protocol):
    """Finds secrets and personal data."""

    def found(self, text: str) -> Sequence[Found]: ...


class Replacement(Protocol):
    """What stands in the place of personal data."""

    def __call__(self, kind: str, value: str, /) -> str: ...


class Judge(Protocol):
    """A model that says whether a text tries to take another one over."""

    def __call__(self, text: str, /) -> Program[bool]: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the guards look with. What is None or missing is not looked for.

    detector: makes one of rules and a classifier; `rules` one of the rules alone, which costs a fraction. Each is made
        when it is first needed.
    secrets: finds secrets; `personal` makes what finds personal data, `replacement` says what stands in its place.
    known: the secrets of which not even a beginning may be handed on.
    """

    detector: Callable[[], Detector] | None = None
    rules: Callable[[], Detector] | None = None
    secrets: Finder | None = None
    personal: Callable[[], Finder] | None = None
    replacement: Replacement | None = None
    known: Sequence[Callable[[], frozenset[str]]] = ()
    canary: Canary | None = None
    judge: Judge | None = None


NOTHING: Mapping[str, str] = {}
