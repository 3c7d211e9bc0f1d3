"""Cases of a prompt: what it is given, what a model says to it, and what is expected of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from surefoot.values import Json


@dataclass(frozen=True, slots=True)
class Texts:
    """What is expected of a text. Case counts; an expression is found anywhere in it, as `re.search` does."""

    contains: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()
    equals: Json = None
    regex: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is expected."""
        return self == Texts()


@dataclass(frozen=True, slots=True)
class MessageExpected:
    """What is expected of one message: its role, and its text."""

    role: str = ""
    texts: Texts = Texts()


@dataclass(frozen=True, slots=True)
class MessagesExpected:
    """What is expected of the rendered messages.

    `count` and `roles` are those of all, `texts` is about the text of all in order, one line apart. `each` are
    expectations of the messages one by one, of which there are as many. `max_tokens` is compared with the estimate.
    """

    count: int | None = None
    roles: tuple[str, ...] | None = None
    texts: Texts = Texts()
    each: tuple[MessageExpected, ...] | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ScorerWish:
    """A scorer of `surefoot.evals` by its name, or a function as `module:function` or `FILE.py:function`.

    A number has to be `at_least` so much (1 where it is not said), a verdict true, a label the one that it `equals`.
    `expected` is what the scorer compares with.
    """

    scorer: str
    at_least: float | None = None
    equals: str | None = None
    expected: Json = None


@dataclass(frozen=True, slots=True)
class Expected:
    """All that is expected of a case. `error` is a part of the message by which its inputs are refused."""

    answer: Texts = Texts()
    json_schema: Mapping[str, Json] | None = None
    scorers: tuple[ScorerWish, ...] = ()
    messages: MessagesExpected | None = None
    error: str | None = None

    @property
    def is_about_answer(self) -> bool:
        """Whether a model has to answer before it can be judged."""
        return not self.answer.is_empty or self.json_schema is not None or bool(self.scorers)


@dataclass(frozen=True, slots=True)
class PromptCase:
    """One case. `inputs` is None for the sample in the prompt's file.

    `answer` is what a scripted model says, where `is_scripted`; `model` is asked where it is not. `place` is
    `file:line`.
    """

    name: str
    place: str
    inputs: Mapping[str, Json] | None = None
    is_scripted: bool = False
    answer: Json = None
    model: str = ""
    expected: Expected = field(default_factory=Expected)


@dataclass(frozen=True, slots=True)
class CasesFile:
    """The cases in a file; `prompt` is the reference of theirs, empty for the one whose file lies beside."""

    path: Path
    cases: tuple[PromptCase, ...]
    prompt: str = ""
