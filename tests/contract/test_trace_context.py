"""A run in the trace of whoever asked for it: what the systems that it asks are told, and what receivers are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from receiver import attributes
from surefoot import App, flow, fork, generate, step, trace_headers
from surefoot.config import load
from surefoot.tracecontext import TraceParent, span_id, trace_id
from surefoot.traces import otlp, trace
from surefoot.values import RunTags
from wire import WireServer

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = RunTags(tags={"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1", "team": "a"})
SETTINGS = """
[connections.main]
provider = "openai"
base_url = "{url}"
api_key = "${{env:PROVIDER_KEY}}"
default = true
"""
KEY = "sk-of-the-provider-0123456789abcdef"
told: dict[str, dict[str, str]] = {}


@step
def asked(text: str) -> str:
    told["step"] = trace_headers()
    return text


@flow(trusted=True)
async def talks(text: str) -> str:
    told["flow"] = trace_headers()
    return await generate([{"role": "user", "content": asked(text)}], using="main:gpt-4o")


@flow
def uses_an_sdk(url: str) -> str:
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        said = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
        client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "again"}],
            extra_headers={"traceparent": f"00-{TRACE}-{SPAN}-01"},
        )
    return said.choices[0].message.content or ""


@flow
def asks() -> str:
    return asked("a")


@flow
def begins() -> str:
    return str(App.current().run(asks, {}, tags=RunTags(session="s1")))


@flow
async def around(text: str) -> str:
    return str(await App.current().run_async(talks, {"text": text}))


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer() as server:
        yield server


@pytest.fixture
def app(wire: WireServer, tmp_path: Path) -> Iterator[App]:
    told.clear()
    (tmp_path / "surefoot.toml").write_text(SETTINGS.format(url=wire.openai_url))
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "PROVIDER_KEY": KEY}
    with closing(App(load(tmp_path, environ=environ))) as app, app.entered():
        yield app


def spans(app: App, run_id: str, *, joins: bool = True) -> dict[str, Any]:
    """By name, as a receiver gets them."""
    written = otlp.spans_of(trace(app.ledger, run_id), now_ns=1, joins=joins)
    return {span.name: span for span in map(Span.FromString, written)}


def parent_of(headers: dict[str, str]) -> TraceParent:
    found = TraceParent.read(headers["traceparent"])
    assert found is not None
    return found


def test_what_is_asked_is_told_of_the_span_that_asks(app: App, wire: WireServer) -> None:
    assert trace_headers() == {}
    app.run(talks, {"text": "hello"})
    [run] = app.ledger.runs()
    found = spans(app, run.id)
    assert parent_of(told["flow"]) == TraceParent(trace_id(run.id), found["invoke_workflow talks"].span_id)
    assert parent_of(told["step"]) == TraceParent(trace_id(run.id), found["asked"].span_id)
    [call] = wire.received
    assert parent_of(call.headers) == TraceParent(trace_id(run.id), found["chat gpt-4o"].span_id)
    assert "tracestate" not in call.headers


def test_clients_of_an_sdk_tell_it_too_unless_they_tell_something_themselves(
    app: App, wire: WireServer
) -> None:
    app.run(uses_an_sdk, {"url": wire.openai_url}, tags=CALLER)
    [run] = app.ledger.runs()
    first, second = wire.received
    sent = {Span.FromString(one).span_id for one in otlp.spans_of(trace(app.ledger, run.id), now_ns=1)}
    assert parent_of(first.headers).trace_id.hex() == TRACE
    assert parent_of(first.headers).span_id in sent
    assert first.headers["tracestate"] == "vendor=1"
    assert second.headers["traceparent"] == f"00-{TRACE}-{SPAN}-01"


def test_a_run_that_is_asked_for_in_a_span_is_told_in_its_trace_or_with_a_link_to_it(app: App) -> None:
    app.run(talks, {"text": "hello"}, tags=CALLER)
    [run] = app.ledger.runs()
    # Its ids are no secrets, whatever they look like.
    assert run.tags == CALLER.tags
    assert parent_of(told["step"]) == TraceParent(
        bytes.fromhex(TRACE), span_id(run.id, told_place(app, run.id))
    )
    joined, apart = spans(app, run.id), spans(app, run.id, joins=False)
    root = joined["invoke_workflow talks"]
    assert {span.trace_id.hex() for span in joined.values()} == {TRACE}
    assert root.parent_span_id.hex() == SPAN
    assert {span.trace_state for span in joined.values()} == {"vendor=1"}
    assert not root.links
    assert {span.trace_id for span in apart.values()} == {trace_id(run.id)}
    assert not apart["invoke_workflow talks"].parent_span_id
    [link] = apart["invoke_workflow talks"].links
    assert (link.trace_id.hex(), link.span_id.hex()) == (TRACE, SPAN)
    # Whichever it is, each span has one id.
    assert {name: span.span_id for name, span in joined.items()} == {
        name: span.span_id for name, span in apart.items()
    }


def test_of_the_tag_nothing_is_kept_but_the_span(app: App) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 4
    app.run(asks, {}, tags=RunTags(tags={"traceparent": f"01-{TRACE}-{SPAN}-01-{token}"}))
    [run] = app.ledger.runs()
    assert run.tags == {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def test_a_child_run_with_tags_of_its_own_is_a_part_of_it_too(app: App) -> None:
    app.run(begins, {}, tags=CALLER)
    child, run = app.ledger.runs()
    assert (child.session, child.tags["traceparent"][3:35]) == ("s1", TRACE)
    flow_span = next(span for span in trace(app.ledger, run.id).walk() if span.kind == "flow")
    assert spans(app, child.id)["invoke_workflow asks"].parent_span_id == span_id(run.id, flow_span.id)


def told_place(app: App, run_id: str) -> str:
    """The `id` of the step."""
    return next(span.id for span in trace(app.ledger, run_id).walk() if span.name == "asked")


def test_a_child_run_is_a_part_of_the_step_that_it_is(app: App) -> None:
    app.run(around, {"text": "hello"}, tags=CALLER)
    child, run = app.ledger.runs()
    assert child.parent_run == run.id
    outer = {span.kind: span for span in trace(app.ledger, run.id).walk()}["flow"]
    root = spans(app, child.id)["invoke_workflow talks"]
    assert root.trace_id.hex() == TRACE
    assert root.parent_span_id == span_id(run.id, outer.id)
    assert [(link.trace_id.hex(), link.span_id) for link in root.links] == [(TRACE, span_id(run.id))]


def test_a_fork_is_no_part_of_it_and_links_to_its_origin_span_by_span(app: App) -> None:
    app.run(talks, {"text": "hello"}, tags=CALLER)
    [origin] = app.ledger.runs()
    call = next(span for span in trace(app.ledger, origin.id).walk() if span.call)
    fork(origin.id, call.id[:12], flow=talks)
    made, _ = app.ledger.runs()
    assert "traceparent" not in made.tags
    for joins, of_origin in ((True, bytes.fromhex(TRACE)), (False, trace_id(origin.id))):
        found = spans(app, made.id, joins=joins)
        root, shared = found["invoke_workflow talks"], found["asked"]
        assert root.trace_id == trace_id(made.id)
        assert attributes(root)["surefoot.run.origin"] == origin.id
        [to_origin] = root.links
        assert (to_origin.trace_id, to_origin.span_id) == (of_origin, span_id(origin.id))
        assert attributes(to_origin) == {"surefoot.link": "origin"}
        [to_its_step] = shared.links
        assert to_its_step.span_id == spans(app, origin.id)["asked"].span_id
        assert not found["chat gpt-4o"].links
