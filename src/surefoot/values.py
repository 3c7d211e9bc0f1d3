"""Plain frozen data that every floor shares: ids, money, usage, messages, the clock."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from surefoot.locks import ForkSafeLock

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

RunStatus = Literal["pending", "running", "waiting", "completed", "failed", "cancelled", "in_doubt"]
StepStatus = Literal[
    "running", "completed", "failed", "skipped", "bypassed", "cancelled", "in_doubt", "suppressed"
]
StepKind = Literal["step", "call", "flow"]
Trust = Literal["trusted", "untrusted"]
Capture = Literal["none", "metadata", "redacted", "full"]
"""What of a payload people may read: nothing, its kind and size, what is no secret and no personal data, or all but
secrets. What a run goes on with is exact in any case."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# Two characters at a time: each run and each request has an id.
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_id_lock = ForkSafeLock()
_last_tick = 0


def new_id() -> str:
    """A UUIDv7 (RFC 9562) as 26 Crockford base-32 characters, so that ids sort by the time they were made.

    Within a process ids never run backwards, even if the wall clock does.
    """
    global _last_tick
    # 48 bits of milliseconds and 12 of the fraction, in one counter of 1/4096 ms.
    tick = time.time_ns() * 4096 // 1_000_000
    with _id_lock:
        tick = _last_tick = max(tick, _last_tick + 1)
    number = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64
    number |= 0b10 << 62 | int.from_bytes(os.urandom(8)) >> 2
    return _characters(number)


def id_bytes(text: str) -> bytes:
    """The 16 bytes of an id. Raises `ValueError` for a text that is none."""
    number = 0
    for character in text:
        number = number << 5 | _CROCKFORD.index(character)
    if len(text) != 26 or number >> 128:
        raise ValueError(f"{text!r} is no id of 26 Crockford base-32 characters")
    return number.to_bytes(16)


def first_id(wall_ns: int) -> str:
    """The id that comes before all that were made in the millisecond of `wall_ns` or later."""
    number = max(wall_ns, 0) // 1_000_000 << 80
    return _characters(number)


def _characters(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount of US dollars as an integer count of nano-dollars, so that sums are exact."""

    nanos: int = 0

    @classmethod
    def dollars(cls, amount: Decimal | int | str) -> Money:
        return cls(round(Decimal(amount) * 1_000_000_000))

    def __add__(self, other: Money) -> Money:
        return Money(self.nanos + other.nanos)

    def __sub__(self, other: Money) -> Money:
        return Money(self.nanos - other.nanos)

    def __str__(self) -> str:
        if self.nanos == 0:
            return "$0"
        digits = f"{Decimal(self.nanos).scaleb(-9):.9f}".rstrip("0")
        whole, _, fraction = digits.partition(".")
        return f"${whole}.{fraction:<02}"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or many model calls; `cached` is a part of `input`, `reasoning` a part of `output`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in a message: where it lies (`https:`, `data:`), or its bytes with their media type (`image/png`).

    `detail` is how closely a model is to look, where its provider lets one say so (`low`, `high`, `auto`).
    """

    url: str = ""
    data: bytes = field(default=b"", repr=False)
    media_type: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording in a message: where it lies (`https:`, `data:`), or its bytes with their type (`audio/mpeg`)."""

    url: str = ""
    data: bytes = field(default=b"", repr=False)
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A document in a message: where it lies, or its bytes with their media type (`application/pdf`) and its name."""

    url: str = ""
    data: bytes = field(default=b"", repr=False)
    media_type: str = ""
    name: str = ""


_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


def media_type_of(data: bytes) -> str:
    """The media type that bytes begin as, of those that models read; the empty text for others."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "")
    return next((kind for beginning, kind in _BEGINNINGS if data.startswith(beginning)), "")


Part: TypeAlias = "str | Image | Audio | File"
"""A piece of a message."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that a model asks for; `arguments` is JSON text as the model wrote it, which may be malformed."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat: a role, and its text, or texts, pictures, recordings and documents in order.

    `tool_calls` are what an assistant asks for, `tool_call_id` says which of them a message of the role `tool`
    answers. `native` is the assistant's message in the form of the provider that gave it (`native_to`), with parts
    that only that one understands, such as signed reasoning; it is given back to no other. `metadata` is what a prompt
    says of it in its role marker (`user[importance=high]:`), which no provider is told.
    """

    role: str
    content: str | tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""
    # JSON, both. `Json` names itself, which pydantic does not follow where a flow is annotated with messages.
    native: Any = None
    native_to: str = ""
    metadata: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """Its text, without pictures, recordings and documents."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part for part in self.content if isinstance(part, str))


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a model call beside its request and response.

    `latency_ns` spans request to last byte; `first_token_ns` request to the first byte of the body (streams only).
    `cost` is None where no price is known.
    """

    provider: str
    requested_model: str
    served_model: str
    usage: Usage = Usage()
    cost: Money | None = None
    first_token_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a call is made, as limits know it; all empty outside of runs.

    `runs` are the run and those that it is a part of, the outermost first, `flows` the flow of each.
    """

    runs: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    tenant: str = ""
    principal: str = ""
    session: str = ""

    @property
    def payer(self) -> str:
        """The principal as accounts know him: those of two tenants are two, whatever they are called."""
        if not self.tenant and "/" not in self.principal:
            return self.principal
        tenant = self.tenant.replace("%", "%25").replace("/", "%2F")
        return f"{tenant}/{self.principal}"

    @property
    def run_id(self) -> str:
        """The run itself."""
        return self.runs[-1] if self.runs else ""

    @property
    def flow(self) -> str:
        """The flow of the run itself."""
        return self.flows[-1] if self.flows else ""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one attempt at a call asks of rate limits. `endpoint` is the connection or host that answers.

    `tokens` is how many tokens it will take, as far as that can be told before.
    """

    caller: Caller
    provider: str
    endpoint: str
    model: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What work has cost for which money was held under budgets: of the hold `released` ends, `charged` is booked.

    `closes` says that nothing else will be drawn from the hold. `part` numbers, from 1, what is settled of one: doing
    it again does nothing.
    """

    hold: str
    released: Money
    charged: Money
    closes: bool = True
    part: int = 0


@dataclass(frozen=True, slots=True)
class CacheRow:
    """That the answer in an outcome is given again to whoever asks the same: `key` is a keyed digest of what was asked.

    `ttl_ns` counts from when it is written, by the store's clock; `token` is that of whoever made the call for all.
    """

    key: bytes
    token: str
    ttl_ns: int
    tenant: str = ""
    flow: str = ""
    prompt: str = ""


# Not frozen, as one is made for each look-up.
@dataclass(slots=True)
class CachedAnswer:
    """An answer that is given again. `record` is as it was recorded, and is never changed.

    `run_id` is the run whose call brought it, empty where that was outside of runs. `age_ns` is how old it was when it
    was looked up, `left_ns` for how long it was still to be given again.
    """

    record: Mapping[str, object]
    run_id: str
    age_ns: int
    left_ns: int


@dataclass(frozen=True, slots=True)
class CachedCount:
    """Answers in the cache, of one flow and prompt, and about their size; `expired` of them are given no more."""

    flow: str
    prompt: str
    answers: int
    expired: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CachedChoice:
    """Which answers of the cache are meant: those that are of all that is named, and older than `older_ns`."""

    prompt: str | None = None
    flow: str | None = None
    tenant: str | None = None
    older_ns: int | None = None


@dataclass(frozen=True, slots=True)
class PromptRef:
    """Which text of which prompt was rendered."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class PromptText:
    """A version of a prompt as the ledger keeps it, enough to load it again after its file is gone.

    `text` is the normalised text of its file, `files` those of the files that it takes in by `base` or `${file:}`, by
    the path it names them with. `digest` is over both. `source` is where it was, relative to the project if inside.
    """

    name: str
    version: str
    digest: str
    dialect: str
    source: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    first_seen_ns: int = 0


def prompt_digest(text: str, files: Mapping[str, str] | None = None) -> str:
    """The SHA-256 of the normalised text of a prompt and of the files that it takes in, by name, in hexadecimal."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for name, content in sorted((files or {}).items()):
        # No text has a NUL, so that no two sets of files come to the same bytes.
        digest.update(f"\0{name}\0{content}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Label:
    """Where a label of a prompt (`production`) points, since when, by whom and why; `before` is the digest before."""

    prompt: str
    label: str
    version: str
    digest: str
    by: str = ""
    moved_ns: int = 0
    reason: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class PromptUse:
    """How a recorded run used a prompt: by which reference, from where, and with what.

    `inputs` are the names that were given with the types of their values (`string`, `integer`, `array` ...), `output`
    the names that are read from the answer where a type for it was given. `file` is relative to the project if
    inside. `run_id` and `used_ns` are of the last time.
    """

    prompt: str
    reference: str
    digest: str
    flow: str
    inputs: Mapping[str, str]
    output: tuple[str, ...] | None = None
    file: str = ""
    line: int = 0
    run_id: str = ""
    used_ns: int = 0


@dataclass(frozen=True, slots=True)
class RunTags:
    """For whom a run is made; columns of the ledger that lists can be filtered by."""

    tenant: str = ""
    principal: str = ""
    session: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Done:
    """That an effect of which nobody knew was done, and its result."""

    result: object = None


class Clock(Protocol):
    """Where time comes from; tests put their own in."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of the machine."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
