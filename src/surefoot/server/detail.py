"""What a page says of one step, or of the run as a whole, section by section."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from surefoot.server import figures
from surefoot.server.shown import Shown, pretty, shown, shown_code, shown_text
from surefoot.server.values import values_of
from surefoot.traces import UNSENT, Call, Parameter, Span, Trace
from surefoot.traces.figures import duration, tokens
from surefoot.values import PromptRef

_MOST_FIELDS = 60
_MOST_TURNS = 60
_MOST_PROMPTS = 12


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its label; `raw` is the address of the whole of it."""

    label: str
    shown: Shown
    raw: str


@dataclass(frozen=True, slots=True)
class Section:
    """Values under a heading. `more` is how many are left out; `is_closed` until the reader opens it."""

    title: str
    style: Literal["values", "chat", "answer", "failure"]
    values: tuple[Value, ...]
    raw: str
    more: int = 0
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """A short statement: label and text. `is_default` where it says that something is absent."""

    label: str
    text: str
    is_default: bool = False


def sections(trace: Trace, span: Span | None) -> list[Section]:
    """The sections of a step, or of the run where none is chosen."""
    return list(_Sections(trace, span).all())


class _Sections:
    def __init__(self, trace: Trace, span: Span | None) -> None:
        self._trace = trace
        self._span = span
        self._values = values_of(trace, span)

    def all(self) -> Iterator[Section]:
        if "failure" in self._values:
            yield self._one("Failure", "failure", style="failure")
        call = self._span.call if self._span is not None else None
        if call is not None:
            yield from self._of_call(call)
            return
        if self._span is None or self._has("inputs"):
            yield self._fields("Inputs", "inputs")
        if self._has_output():
            yield self._fields("Output", "output")
        if self._has("init"):
            yield self._one("How the workflow was made", "init", is_closed=True)

    def _of_call(self, call: Call) -> Iterator[Section]:
        if call.messages:
            first = max(len(call.messages) - _MOST_TURNS, 0)
            turns = tuple(
                Value(turn.role, shown_text(turn.text), self._raw("messages", first + index))
                for index, turn in enumerate(call.messages[first:])
            )
            yield Section("Messages", "chat", turns, self._raw("messages"), more=first)
        if self._values.get("answer"):
            yield self._one("Answer", "answer", style="answer")
        yield self._one("Full request", "request", is_closed=True)
        if call.response is not None:
            yield self._one("Full response", "response", is_closed=True)

    def _one(
        self,
        title: str,
        name: str,
        *,
        style: Literal["values", "answer", "failure"] = "values",
        is_closed: bool = False,
    ) -> Section:
        raw = self._raw(name)
        return Section(title, style, (Value("", shown(self._values[name]), raw),), raw, is_closed=is_closed)

    def _fields(self, title: str, name: str) -> Section:
        """A mapping as labelled values, anything else as one."""
        value = self._values[name]
        if not isinstance(value, dict) or not value:
            nothing = value is None or value == {}
            whole = shown_text("none") if nothing else shown(value)
            return Section(title, "values", (Value("", whole, self._raw(name)),), self._raw(name))
        fields = [
            Value(key, shown(item), self._raw(name, key)) for key, item in list(value.items())[:_MOST_FIELDS]
        ]
        return Section(title, "values", tuple(fields), self._raw(name), more=len(value) - len(fields))

    def _has(self, name: str) -> bool:
        return self._values.get(name) not in (None, {}, [])

    def _has_output(self) -> bool:
        if "failure" in self._values:
            return False
        if self._span is None:
            return bool(self._trace.attempts) and self._trace.attempts[-1].status == "completed"
        return self._span.status != "running"

    def _raw(self, name: str, at: str | int | None = None) -> str:
        step = {} if self._span is None else {"step": self._span.id}
        place = {} if at is None else {"at": at}
        return f"/runs/{self._trace.run.id}/raw?{urlencode({**step, 'of': name, **place})}"


def facts(span: Span) -> list[Fact]:
    """What is known of a step in short."""
    return list(_facts(span))


def _facts(span: Span) -> Iterator[Fact]:
    if (call := span.call) is not None:
        yield from _call_facts(call, span.name)
    elif span.totals.calls:
        totals = span.totals
        yield Fact("model calls", f"{totals.calls:,}")
        yield Fact("tokens", tokens(totals.usage))
        yield Fact("cost", figures.total_cost(totals))
    if span.prompt is not None:
        version = f" @{span.prompt.version}" if span.prompt.version else ""
        yield Fact("prompt", f"{span.prompt.name}{version} (digest {span.prompt.digest[:12]})")
    if span.trust is not None:
        yield Fact("trust", span.trust)
    for decision in span.decisions:
        yield Fact("guard", str(decision))
    if span.user_key is not None:
        yield Fact("key", span.user_key)
    yield Fact("started", figures.exact_moment(span.started_ns))


def _call_facts(call: Call, name: str) -> Iterator[Fact]:
    facts = call.facts
    asked, served = facts.requested_model or "unknown", facts.served_model or "unknown"
    yield Fact("model", asked if asked == served else f"{asked} asked for, {served} served")
    if call.operation != name:
        yield Fact("operation", call.operation)
    yield Fact("tokens", tokens(facts.usage))
    yield Fact("cost", figures.cost(facts.cost))
    if facts.first_token_ns is not None:
        yield Fact("first token", f"after {duration(facts.first_token_ns)}")
    if call.said.finish:
        early = ", the stream was closed early" if call.is_closed_early else ""
        yield Fact("finish", call.said.finish + early)
    if call.tools:
        yield Fact("tools offered", ", ".join(call.tools))
    if call.status is not None:
        yield Fact("HTTP status", f"{call.status}{', streamed' if call.is_stream else ''}")


def parameters(call: Call) -> list[tuple[Fact, Shown | None]]:
    """What was sent, and what would matter and was not; a value that is no plain text apart from its name."""
    return [_parameter(parameter) for parameter in call.told_parameters()]


def _parameter(parameter: Parameter) -> tuple[Fact, Shown | None]:
    name, value = parameter.name, parameter.value
    if not parameter.is_sent:
        return Fact(name, UNSENT, is_default=True), None
    if isinstance(value, dict | list):
        return Fact(name, ""), shown_code(value)
    return Fact(name, pretty(value)), None


def run_facts(trace: Trace, now_ns: int, *, is_open: bool) -> list[Fact]:
    """What is known of a run in short, beside its id, flow and status. `is_open` where it is at work."""
    return list(_run_facts(trace, now_ns, is_open=is_open))


def _run_facts(trace: Trace, now_ns: int, *, is_open: bool) -> Iterator[Fact]:
    run, totals = trace.run, trace.totals
    ended_ns = now_ns if is_open else run.ended_ns
    yield Fact("started", figures.moment(run.created_ns, now_ns))
    if ended_ns is not None:
        yield Fact("duration", duration(ended_ns - run.created_ns))
    yield Fact("steps", f"{totals.steps:,}")
    yield Fact("model calls", f"{totals.calls:,}")
    if totals.calls:
        yield Fact("tokens", tokens(totals.usage))
        yield Fact("cost", figures.total_cost(totals))
    if len(trace.attempts) > 1:
        yield Fact("attempts", f"{len(trace.attempts)}")
    for label, text in (("tenant", run.tenant), ("principal", run.principal), ("session", run.session)):
        if text:
            yield Fact(label, text)
    if trace.untrusted_inputs:
        yield Fact("untrusted inputs", ", ".join(trace.untrusted_inputs))
    for decision in trace.decisions:
        yield Fact("guard", str(decision))
    if run.run_key is not None:
        yield Fact("key", run.run_key)
    if trace.prompts:
        yield Fact("prompts", _versions(trace.prompts.values()))
    if run.tags:
        yield Fact("tags", _tags(run.tags))


def _versions(prompts: Iterable[PromptRef]) -> str:
    """The versions that a run has used, each once."""
    named = [
        f"{prompt.name}@{prompt.version}" if prompt.version else f"{prompt.name} ({prompt.digest[:8]})"
        for prompt in prompts
    ]
    each = list(dict.fromkeys(named))
    more = len(each) - _MOST_PROMPTS
    return ", ".join(each[:_MOST_PROMPTS]) + (f" and {more} more" if more > 0 else "")


def _tags(tags: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={text}" for name, text in tags.items())
