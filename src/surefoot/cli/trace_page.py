"""A trace as a page for people: header, tree of steps, totals."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from surefoot.cli import screen, words
from surefoot.cli.progress import MARKS
from surefoot.traces import UNSENT, Call, Failure, Span, Trace, standing
from surefoot.values import Json

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.ledger import RunRecord

_LINES = 6
"""How many lines of a value are shown unless everything is asked for."""
_PROMPT_LINES = 16
_MOST_PROMPTS = 12
_LABEL = 13


UNKNOWN = {
    "running": "none: it did not end",
    "in_doubt": "none: nobody knows whether it was done",
    "cancelled": "none: it came to nothing, and was begun anew",
}
"""What stands for the output of a step that has none."""


class Page:
    """Prints a trace; `is_full` cuts nothing and adds the bodies of calls."""

    def __init__(self, console: Console, *, is_full: bool) -> None:
        self._console = console
        self._is_full = is_full

    def header(self, trace: Trace, children: Sequence[RunRecord], now_ns: int) -> None:
        """Who ran what when, for which run and with which, and whether the record is sound."""
        run = trace.run
        state = standing(run, now_ns)
        colour = {"completed": "green", "failed": "red"}.get(state, "yellow")
        degraded = (", degraded", "yellow") if run.totals.is_degraded else ""
        self._console.print(
            screen.styled(("Run ", "bold"), (run.id, "bold"), "  ", (state, colour), degraded)
        )
        for label, text in self._facts(trace, now_ns):
            self._field("", label, text)
        for child in children:
            self._field("", "child run", f"{child.id}  {child.flow}  {standing(child, now_ns)}")
        for title, values in (("Inputs", trace.inputs), ("Settings", trace.init)):
            if values:
                self._console.print(screen.styled((f"\n{title}", "bold")))
                for name, value in values.items():
                    self._value("", name, value)

    def tree(self, spans: Sequence[Span]) -> None:
        """The steps, each with what is inside of it."""
        self._console.print(screen.styled(("\nSteps", "bold")))
        if not spans:
            self._console.print("  none is recorded")
        for index, span in enumerate(spans):
            self._span(span, "", is_last=index == len(spans) - 1)

    def ending(self, trace: Trace) -> None:
        """What came out, and what it took."""
        if trace.failure is not None:
            self._console.print(screen.styled(("\nFailure", "bold")))
            self._field("", "error", "\n".join(_failure_lines(trace.failure)), style="red")
        elif trace.attempts and trace.attempts[-1].status == "completed":
            self._console.print(screen.styled(("\nOutput", "bold")))
            values = trace.output if isinstance(trace.output, dict) else {"value": trace.output}
            for name, value in values.items():
                self._value("", name, value)
        totals = trace.totals
        self._console.print(screen.styled(("\nTotals", "bold")))
        counts = f"{words.counted(totals.steps, 'step')}, {words.counted(totals.calls, 'model call')}"
        self._field("", "recorded", counts)
        self._field("", "tokens", words.all_tokens(totals.usage))
        self._field("", "cost", words.total_cost(totals))

    def _facts(self, trace: Trace, now_ns: int) -> Iterator[tuple[str, str]]:
        run = trace.run
        yield "flow", f"{run.flow}, version {run.flow_version}" if run.flow_version else run.flow
        yield "code", f"{run.entry}{f' (digest {run.code_digest})' if run.code_digest else ''}"
        took = f", took {words.duration(run.ended_ns - run.created_ns)}" if run.ended_ns else ""
        yield "started", f"{words.clock(run.created_ns)} ({words.ago(run.created_ns, now_ns)}){took}"
        if len(trace.attempts) > 1:
            for attempt in trace.attempts:
                ended = (
                    "did not end"
                    if attempt.ended_ns is None
                    else f"{attempt.status} {words.clock(attempt.ended_ns)}"
                )
                yield f"attempt {attempt.epoch}", f"{words.clock(attempt.started_ns)}, {ended}"
        if run.deadline_ns is not None:
            yield "deadline", words.clock(run.deadline_ns)
        if run.owner is not None:
            yield "process", f"{run.owner.pid} on {run.owner.host}"
        yield from _made_of(run)
        if run.run_key is not None and not run.is_child:
            yield "key", run.run_key
        for label, value in (("tenant", run.tenant), ("principal", run.principal), ("session", run.session)):
            if value:
                yield label, value
        if run.tags:
            yield "tags", ", ".join(f"{name}={value}" for name, value in run.tags.items())
        for reference, prompt in list(trace.prompts.items())[:_MOST_PROMPTS]:
            version = f"@{prompt.version}" if prompt.version else ""
            yield "prompt", f"{reference} → {prompt.name}{version} (digest {prompt.digest[:12]})"
        if (more := len(trace.prompts) - _MOST_PROMPTS) > 0:
            yield "prompts", f"{more} more (--json)"
        yield from _trust(trace)
        sound = "the hash chain holds" if trace.chain_break is None else f"BROKEN at {trace.chain_break}"
        pruned = ", some payloads were pruned" if trace.is_pruned else ""
        yield "record", f"{words.counted(trace.rows, 'row')}, {sound}{pruned}"

    def _span(self, span: Span, guide: str, *, is_last: bool) -> None:
        mark, colour = MARKS.get(span.status, MARKS["completed"])
        branch = "└─ " if is_last else "├─ "
        inner = guide + ("   " if is_last else "│  ")
        name = span.name or "(a step of which only the inside is recorded)"
        self._console.print(
            screen.styled((guide + branch, "dim"), (mark, colour), " ", (name, "bold"), (_tail(span), "dim")),
            soft_wrap=not self._console.is_terminal,
        )
        body = inner + ("│  " if span.children else "   ")
        self._body(span, body)
        for index, child in enumerate(span.children):
            self._span(child, inner, is_last=index == len(span.children) - 1)

    def _body(self, span: Span, guide: str) -> None:
        if span.prompt is not None:
            version = f"@{span.prompt.version}" if span.prompt.version else ""
            self._field(guide, "prompt", f"{span.prompt.name}{version} (digest {span.prompt.digest[:12]})")
        if span.call is not None:
            self._call(span.call, guide, is_told=span.failure is not None)
        else:
            values = (
                span.inputs
                if isinstance(span.inputs, dict)
                else {"input": span.inputs}
                if span.inputs
                else {}
            )
            for name, value in values.items():
                self._value(guide, name, value, style="dim")
        for decision in span.decisions:
            style = "red" if decision.action == "refuse" else "yellow"
            self._field(guide, "guard", str(decision), style=style)
        if span.failure is not None:
            self._field(guide, "failed", "\n".join(_failure_lines(span.failure)), style="red")
        elif span.status in UNKNOWN:
            self._field(guide, "output", UNKNOWN[span.status], style="yellow")
        elif span.status == "suppressed":
            self._value(guide, "stand-in", span.output)
        elif span.call is None:
            self._value(guide, "output", span.output)
        if span.children:
            self._field(guide, "in all", words.totals_line(span.totals), style="dim")

    def _call(self, call: Call, guide: str, *, is_told: bool) -> None:
        """`is_told`: the step says itself what it failed with."""
        facts = call.facts
        self._field(guide, "model", f"{facts.requested_model} asked for, {facts.served_model} served")
        for parameter in call.told_parameters():
            said = screen.pretty(parameter.value) if parameter.is_sent else UNSENT
            self._field(guide, parameter.name, said)
        if call.tools:
            self._field(guide, "tools", ", ".join(call.tools))
        for turn in call.messages:
            self._field(guide, turn.role, turn.text, style="dim", most=_PROMPT_LINES)
        if call.problem and not is_told:
            self._field(guide, "failed", call.problem, style="red")
        elif not call.problem:
            self._field(guide, "answer", call.said.text or "(no text)", style="green")
        for tool in call.said.tool_calls:
            self._field(guide, "calls", f"{tool.name}({tool.arguments})", style="green")
        if call.said.finish:
            early = " (the stream was closed early)" if call.is_closed_early else ""
            self._field(guide, "finish", call.said.finish + early)
        if facts.first_token_ns is not None:
            self._field(guide, "first token", f"after {words.duration(facts.first_token_ns)}")
        self._field(guide, "tokens", words.all_tokens(facts.usage))
        self._field(guide, "cost", words.cost(facts.cost))
        if self._is_full:
            self._field(guide, "request", screen.pretty(call.request))
            self._field(guide, "response", screen.pretty(call.response))

    def _value(self, guide: str, label: str, value: Json, *, style: str = "") -> None:
        shown = screen.pretty(value) if self._is_full else screen.outline(value, self._room(guide))
        self._field(guide, label, shown, style=style)

    def _room(self, guide: str) -> int:
        return max(self._console.width - len(guide) - _LABEL - 2, 20)

    def _field(self, guide: str, label: str, text: str, *, style: str = "", most: int = _LINES) -> None:
        """A label and a text, whose further lines stand below each other."""
        width = self._room(guide)
        column = max(_LABEL, len(label) + 1)
        lines: Iterable[str] = _wrapped(screen.harmless(text), width if self._console.is_terminal else 0)
        if not self._is_full:
            lines = screen.cut(lines, most)
        for index, line in enumerate(lines):
            head = f"{label if index == 0 else '':<{column}}"
            self._console.print(
                screen.styled((f"{guide}  ", "dim"), (head, "dim"), (line, style)), soft_wrap=True
            )


def _trust(trace: Trace) -> Iterator[tuple[str, str]]:
    """Which inputs may not instruct, and what guards have decided in the flow itself."""
    if untrusted := trace.untrusted_inputs:
        yield "untrusted", f"the input{'s' * (len(untrusted) > 1)} {', '.join(untrusted)}"
    for decision in trace.decisions:
        yield "guard", str(decision)


def _made_of(run: RunRecord) -> Iterator[tuple[str, str]]:
    """The runs that a run is a part or a fork of."""
    if run.parent_run is not None:
        yield "parent run", run.parent_run
    if fork := words.fork_of(run):
        yield "made as", fork


def _tail(span: Span) -> str:
    """What stands behind a step's name: kind, time, marks."""
    parts: list[str] = [span.kind]
    if span.latency_ns is not None:
        parts.append(words.duration(span.latency_ns))
    if span.attempt > 1 or span.is_tried_again or (span.status == "failed" and span.attempt == 1):
        parts.append(f"attempt {span.attempt}{' failed' if span.status == 'failed' else ''}")
    if span.is_degraded:
        parts.append("degraded")
    if span.taken_from:
        parts.append(f"taken from run {span.taken_from}")
    elif span.is_cached:
        parts.append(f"cached from run {span.cached_from}" if span.cached_from else "cached")
    if span.trust == "untrusted":
        parts.append("untrusted")
    if span.user_key is not None:
        parts.append(f"key {span.user_key!r}")
    return "  " + " · ".join(parts)


def _failure_lines(failure: Failure) -> Iterator[str]:
    yield str(failure)
    cause = failure.cause
    while cause is not None:
        yield f"because of {cause}"
        cause = cause.cause


def _wrapped(text: str, width: int) -> Iterator[str]:
    for line in text.splitlines() or [""]:
        if width and len(line) > width:
            indent = line[: len(line) - len(line.lstrip())][: width // 2]
            yield from textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=True)
        else:
            yield line
