"""Spans of unusual runs: hostile values, forks, crashes, and what has no end."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from receiver import attributes
from surefoot.ledger import Entry, RunRecord, Totals
from surefoot.traces import Attempt, Span, Trace, read_call
from surefoot.traces.conventions import TEXT_LIMIT
from surefoot.traces.ids import span_id, trace_id
from surefoot.traces.otlp import requests, spans_of
from surefoot.values import CallFacts, Json, Money, Usage, first_id, id_bytes, new_id

RUN = RunRecord(new_id(), "answer", Entry("m", "f"), "completed", created_ns=1_000, ended_ns=9_000)
KEY = "0123456789abcdef0123456789abcdef"


def step(**changes: object) -> Span:
    made = Span(f"{KEY}.1", RUN.id, "parse", "step", "completed", 1, 1, 2_000, 3_000)
    return replace(made, **changes)  # type: ignore[arg-type]


def trace_of(*spans: Span, run: RunRecord = RUN, **changes: object) -> Trace:
    made = Trace(
        run, (Attempt(1, 1_000, 9_000, "completed"),), {}, {}, None, None, spans, Totals(), 1, False, None
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def sent(trace: Trace) -> list[trace_pb2.Span]:
    """The spans after a journey over the wire."""
    found = [
        type(request).FromString(request.SerializeToString())
        for request in requests([trace], {"service.name": "t"}, now_ns=10_000)
    ]
    return [
        span
        for request in found
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def call_span(body: Json, output: Json, **facts: object) -> Span:
    known = CallFacts("openai", "gpt-4o", "gpt-4o-2024", Usage(10, 4, 6, 2), Money(12_500))
    call = read_call(
        "openai.chat",
        replace(known, **facts),  # type: ignore[arg-type]
        {"path": "chat/completions", "body": body},
        output,
    )
    return step(name="openai.chat", kind="call", call=call)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=json_values, name=st.text(), body=st.dictionaries(st.text(), json_values, max_size=4))
def test_any_value_and_any_name_can_be_sent(value: Json, name: str, body: dict[str, Json]) -> None:
    known: dict[str, Json] = {
        "temperature": value,
        "stop": value,
        "messages": value,
        "tools": value,
        "response_format": value,
        "max_tokens": value,
    }
    spans = [
        step(inputs=value, output=value, name=name),
        call_span(body | known, {"status": 200, "body": value}),
    ]
    found = sent(trace_of(*spans, inputs={name: value}, output=value))
    assert found[0].span_id == span_id(RUN.id)
    assert len(found) == 3


@pytest.mark.parametrize("text", ["\ud800 lone", "nul \x00 here"])
def test_text_that_receivers_cannot_take_is_mended(text: str) -> None:
    [_, span] = sent(trace_of(step(inputs=text, name=text)))
    told = attributes(span)["input.value"]
    assert "\x00" not in told
    assert told[-4:] == text[-4:]


def test_integers_beyond_64_bits_stay_readable() -> None:
    [_, span] = sent(trace_of(call_span({"seed": 2**70, "n": 3}, {"status": 200, "body": "{}"})))
    told = attributes(span)
    assert told["gen_ai.request.seed"] == str(2**70)
    assert told["gen_ai.request.choice.count"] == 3


def test_long_texts_are_cut_and_say_so() -> None:
    long = "x" * (TEXT_LIMIT + 7)
    root, span = sent(trace_of(step(inputs={"text": long}, output=long)))
    told = attributes(span)
    assert told["input.mime_type"] == "text/plain", "JSON that was cut is none"
    assert told["output.value"].endswith("[7 more characters are in the ledger]")
    assert len(told["output.value"]) < TEXT_LIMIT + 60
    assert attributes(root)["input.mime_type"] == "application/json"


def test_of_a_long_conversation_the_newest_messages_are_sent() -> None:
    messages: list[Json] = [
        {"role": "user", "content": f"{number:04} " + "y" * 1_000} for number in range(200)
    ]
    [_, span] = sent(trace_of(call_span({"messages": messages}, {"status": 200, "body": "{}"})))
    told = json.loads(attributes(span)["gen_ai.input.messages"])
    assert told[-1]["parts"][0]["content"].startswith("0199 ")
    left_out = 200 - (len(told) - 1)
    assert told[0] == {
        "role": "system",
        "parts": [{"type": "text", "content": f"[{left_out} earlier messages are not sent]"}],
    }
    assert 0 < left_out < 200


def test_tokens_cost_and_models_of_a_call() -> None:
    [_, span] = sent(trace_of(call_span({"messages": []}, {"status": 200, "body": "{}"})))
    told = attributes(span)
    assert told["gen_ai.request.model"] == "gpt-4o"
    assert told["gen_ai.response.model"] == "gpt-4o-2024"
    assert told["llm.token_count.total"] == 16
    assert told["gen_ai.usage.cache_read.input_tokens"] == 4
    assert told["gen_ai.usage.reasoning.output_tokens"] == 2
    assert told["llm.token_count.completion_details.reasoning"] == 2
    assert told["llm.cost.total"] == pytest.approx(0.0000125)


def test_an_unknown_price_is_no_price_of_zero() -> None:
    [_, span] = sent(trace_of(call_span({}, {"status": 200, "body": "{}"}, cost=None)))
    assert not [name for name in attributes(span) if "cost" in name]


def test_a_cached_call_says_so() -> None:
    [_, span] = sent(trace_of(replace(call_span({}, {"status": 200, "body": "{}"}), is_cached=True)))
    assert attributes(span)["surefoot.is_cached"] is True


def test_a_call_without_an_answer_is_an_error() -> None:
    span = call_span({}, "connection reset")
    [_, found] = sent(trace_of(replace(span, status="failed")))
    assert found.status.code == Status.STATUS_CODE_ERROR
    assert found.status.message == "connection reset"
    assert attributes(found)["error.type"] == "_OTHER"


def test_an_abandoned_run_ends_with_what_is_last_known() -> None:
    run = replace(RUN, status="running", ended_ns=None, lease_until_ns=2)
    child = step(id=f"{KEY}.2", parent=f"{KEY}.1", started_ns=4_000, ended_ns=5_000)
    cut = step(status="running", ended_ns=None, children=(child,))
    root, outer, inner = sent(trace_of(cut, run=run, attempts=(Attempt(1, 1_000, None, "running"),)))
    assert root.end_time_unix_nano == outer.end_time_unix_nano == inner.end_time_unix_nano == 5_000
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert f"surefoot resume {run.id}" in root.status.message
    assert outer.status.code == Status.STATUS_CODE_UNSET
    assert attributes(root)["surefoot.run.status"] == "abandoned"
    assert attributes(outer)["surefoot.step.status"] == "running"


def test_a_clock_that_was_set_back_makes_no_negative_span() -> None:
    [_, span] = sent(trace_of(step(started_ns=5_000, ended_ns=4_000)))
    assert span.end_time_unix_nano == span.start_time_unix_nano == 5_000


def test_resumes_are_events_of_the_run() -> None:
    attempts = (Attempt(1, 1_000, None, "running"), Attempt(2, 6_000, 9_000, "completed"))
    [root] = sent(trace_of(attempts=attempts))
    [event] = root.events
    assert (event.name, event.time_unix_nano) == ("surefoot.resumed", 6_000)


def test_a_fork_links_to_its_origin_and_shares_no_span_id_with_it() -> None:
    fork = replace(RUN, id=new_id(), parent_run=RUN.id)
    root, span = sent(trace_of(step(parent=fork.id), run=fork))
    [link] = root.links
    assert link.trace_id == trace_id(RUN.id)
    assert link.span_id == span_id(RUN.id)
    _, original = sent(trace_of(step()))
    assert span.span_id != original.span_id


def test_an_id_is_its_16_bytes() -> None:
    made = new_id()
    number = int.from_bytes(id_bytes(made))
    assert (number >> 76) & 0xF == 7
    assert (number >> 62) & 0b11 == 0b10
    assert id_bytes(first_id(1_234_567_000_000)).hex() == f"{1_234_567:012x}" + "0" * 20
    for wrong in ("", "last", made + "0", "Z" * 26, made[:-1] + "U"):
        with pytest.raises(ValueError, match=r"no id|substring"):
            id_bytes(wrong)


def test_ids_made_later_sort_after_the_first_of_their_time() -> None:
    before = first_id(time.time_ns())
    assert before <= new_id() < first_id(time.time_ns() + 3_600_000_000_000)


def test_spans_come_parents_first() -> None:
    child = step(id=f"{KEY}.2", parent=f"{KEY}.1")
    found = list(spans_of(trace_of(step(children=(child,))), now_ns=10_000))
    seen = {b""}
    for span in found:
        assert span.parent_span_id in seen
        seen.add(span.span_id)
