"""What a model is asked and what it says, in the words of no provider: `Ask` and `Turn`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from surefoot.values import Json, Message, ToolCall

Finish = Literal["stop", "length", "tools", "filter", "other"]
"""Why a model stopped: it was through, at its limit of tokens, wants tools, or was stopped by a content filter."""

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it; `schema` is the JSON schema of its arguments, an object."""

    name: str
    description: str
    schema: Mapping[str, Json]
    is_strict: bool | None = False
    """Whether the schema keeps to what providers can enforce while they decode; None leaves it to the provider."""


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """The JSON that is wanted as the answer; without a schema any object is."""

    name: str
    schema: Mapping[str, Json] | None
    is_strict: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a model. What is None is left to the provider.

    `top_logprobs`: for each token of the answer its log-probability, and those of so many others (0: only its own).
    `extra` is put into the request's body as it is, over what stands there.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the tool that has to be called."""
    output: OutputSpec | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: Effort | None = None
    top_logprobs: int | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    parallel_tools: bool | None = None
    """Whether one turn may ask for several tools."""
    is_stream: bool = False
    extra: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class Logprob:
    """A token of an answer and its log-probability (natural), with the most likely others in its place."""

    token: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a model said to one `Ask`.

    `native` is its message in the provider's own form, for the next request of a conversation with tools.
    """

    text: str
    finish: Finish = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str = ""
    reasoning: str = ""
    logprobs: tuple[Logprob, ...] = ()
    model: str = ""
    id: str = ""
    native: Json = None
    whole: Json = None
    """The whole answer as the provider gave it, where that was asked for."""


class Listening(Protocol):
    """A streamed answer as it comes in."""

    def hear(self, event: str, data: str) -> str:
        """Take one server-sent event; the piece of the answer's text that it brought, or the empty text.

        Raises `ValueError` for an event that is none of the format, `Interrupted` for one that says that the
        provider gave up.
        """
        ...

    @property
    def is_whole(self) -> bool:
        """Whether the answer's last event has come."""
        ...

    def turn(self) -> Turn:
        """All that was heard."""
        ...


class Interrupted(Exception):
    """A stream broke off; or brought an error in place of the rest: `kind` and message as the provider has them.

    `event` is the data of the event that said so.
    """

    def __init__(self, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.event = ""


class Wire(Protocol):
    """A provider's format: how an `Ask` is written, and how a `Turn` is read."""

    @property
    def operation(self) -> str:
        """The name of the operation, as in `operations.OPERATIONS`."""
        ...

    @property
    def lacks(self) -> frozenset[str]:
        """The settings of an `Ask` that the format has no words for, by the names of their fields."""
        ...

    def path(self, ask: Ask) -> str:
        """Where it is sent to, below the endpoint's base URL, with its query."""
        ...

    def body(self, ask: Ask) -> dict[str, Json]:
        """The request. Raises `UsageError` for what the format has no words for."""
        ...

    def read(self, body: Mapping[str, Json]) -> Turn:
        """A buffered answer. Raises `ValueError` where it is none of the format."""
        ...

    def listen(self) -> Listening:
        """For a streamed answer."""
        ...
