"""Sending: retries, halves, rejected spans, and clear errors; over real sockets, on a clock of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from hooked import Hooked
from receiver import Receiver, Reply
from surefoot.errors import ExportError, InvalidInput
from surefoot.ledger import Entry, RunRecord, RunScore, ScoreRecord, Totals
from surefoot.models.chain.retries import Retries
from surefoot.traces import Span, Trace
from surefoot.traces.otlp import requests
from surefoot.traces.phoenix import Annotations
from surefoot.traces.sending import PATIENCE, send
from surefoot.traces.targets import Target, otlp_target
from surefoot.values import new_id


class OwnClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000_000_000_000
        self.slept: list[float] = []

    def wall_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def made_trace(steps: int = 1, text: str = "") -> Trace:
    run = RunRecord(new_id(), "answer", Entry("m", "f"), "completed", created_ns=1_000, ended_ns=9_000)
    spans = tuple(
        Span(
            f"{number:032x}.1", run.id, f"step {number}", "step", "completed", 1, 1, 2_000, 3_000, inputs=text
        )
        for number in range(steps)
    )
    return Trace(run, (), {}, {}, None, None, spans, Totals(), steps, False, None)


def target(receiver: Receiver) -> Target:
    return otlp_target(receiver.url, environ={})


def test_503_then_200(receiver: Receiver) -> None:
    clock = OwnClock()
    receiver.answer(Reply(503), Reply(503), Reply(200))
    sent = send([made_trace()], target(receiver), clock=clock)
    assert (sent.spans, sent.requests, sent.retries) == (2, 1, 2)
    assert [arrived.status for arrived in receiver.arrived] == [503, 503, 200]
    assert len({arrived.message.SerializeToString() for arrived in receiver.arrived}) == 1
    assert 0 <= clock.slept[0] <= PATIENCE.base
    assert 0 <= clock.slept[1] <= PATIENCE.base * 2


def test_retry_after_is_waited_for_in_seconds_and_as_a_date(receiver: Receiver) -> None:
    clock = OwnClock()
    receiver.answer(
        Reply(429, {"retry-after": "7"}), Reply(503, {"retry-after": "Tue, 14 Nov 2023 22:13:40 GMT"})
    )
    send([made_trace()], target(receiver), clock=clock)
    # The clock begins at 22:13:20 and has slept 7 s when the date arrives.
    assert clock.slept == [7.0, 13.0]


def test_retries_are_bounded_and_the_error_says_what_to_do(receiver: Receiver) -> None:
    clock = OwnClock()
    receiver.answer(*[Reply(503, {"content-type": "text/plain"}, b"out of breath")] * 50)
    with pytest.raises(ExportError, match=r"answered with 503 \(out of breath\).*send again later"):
        send([made_trace()], target(receiver), patience=Retries(count=3, base=1.0), clock=clock)
    assert len(receiver.arrived) == 4
    assert len(clock.slept) == 3


def test_a_connection_that_breaks_is_made_again(receiver: Receiver) -> None:
    receiver.answer(Reply(is_cut=True))
    sent = send([made_trace()], target(receiver), clock=OwnClock())
    assert (sent.spans, sent.retries) == (2, 1)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(401), "credentials are missing or wrong"),
        (Reply(403), "OTEL_EXPORTER_OTLP_HEADERS"),
        (Reply(404), "no traces are taken there"),
        (Reply(400, {}, b"\x08\x03\x12\x0bbad payload"), r"400 \(bad payload\): it did not take the spans"),
        (Reply(415), "does not speak OTLP as protobuf"),
        (Reply(500), "look into its log"),
        (
            Reply(307, {"location": "https://elsewhere.test/v1/traces"}),
            "send to https://elsewhere.test/v1/traces",
        ),
    ],
)
def test_an_answer_that_will_not_change_is_an_error_at_once(
    receiver: Receiver, reply: Reply, said: str
) -> None:
    receiver.answer(reply)
    with pytest.raises(ExportError, match=said) as raised:
        send([made_trace()], target(receiver), clock=OwnClock())
    assert f"{receiver.url}/v1/traces" in str(raised.value)
    assert len(receiver.arrived) == 1


def test_nothing_listens_or_the_host_is_unknown() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clock = OwnClock()
    with pytest.raises(
        ExportError, match=rf"http://127.0.0.1:{port}/v1/traces cannot be reached: nothing listens"
    ):
        send([made_trace()], Target(f"http://127.0.0.1:{port}/v1/traces"), clock=clock)
    with pytest.raises(ExportError, match="host is not known"):
        send([made_trace()], Target("http://no-such-host.invalid/v1/traces"), clock=clock)
    assert clock.slept == []


def test_tls_to_a_plain_receiver_is_told_apart(receiver: Receiver) -> None:
    with pytest.raises(ExportError, match="http:// rather than https://"):
        send(
            [made_trace()], otlp_target(receiver.url.replace("http:", "https:"), environ={}), clock=OwnClock()
        )


def test_what_was_taken_before_an_error_is_told(receiver: Receiver) -> None:
    receiver.answer(Reply(200), Reply(401))
    with pytest.raises(ExportError, match="512 spans were taken before"):
        send([made_trace(600)], target(receiver), clock=OwnClock())


def test_many_spans_go_in_requests_of_bounded_size() -> None:
    found = list(requests([made_trace(700), made_trace(400)], {}, now_ns=0))
    assert [len(request.spans) for request in found] == [512, 512, 78]
    sizes = [
        len(bytes(request))
        for request in requests([made_trace(60, "x" * 90_000)], {}, now_ns=0, most_bytes=10**6)
    ]
    assert len(sizes) > 1
    assert max(sizes) < 1.1 * 10**6


def test_a_receiver_that_finds_a_request_too_large_gets_halves() -> None:
    with Receiver(most_bytes=6_000) as receiver:
        plain = Target(f"{receiver.url}/v1/traces", is_compressed=False)
        sent = send([made_trace(100)], plain, clock=OwnClock())
        assert sent.spans == 101
        assert [span.name for span in receiver.spans()][1:] == [f"step {number}" for number in range(100)]
        assert receiver.arrived[-1].headers.get("content-encoding") is None


def test_one_span_that_is_too_large_is_an_error() -> None:
    with Receiver(most_bytes=100) as receiver, pytest.raises(ExportError, match="one span alone is larger"):
        send([made_trace()], target(receiver), clock=OwnClock())


def test_rejected_spans_are_counted_and_a_warning_is_passed_on(receiver: Receiver) -> None:
    partial, warning = ExportTraceServiceResponse(), ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    partial.partial_success.error_message = "too old"
    warning.partial_success.error_message = "use the new path"
    receiver.answer(Reply(200, {}, partial.SerializeToString()), Reply(200, {}, warning.SerializeToString()))
    sent = send([made_trace()], target(receiver), clock=OwnClock())
    assert (sent.spans, sent.rejected, sent.problem) == (1, 1, "too old")
    sent = send([made_trace()], target(receiver), clock=OwnClock())
    assert (sent.spans, sent.rejected, sent.problem) == (2, 0, "use the new path")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"content-type": "application/json"}, b'{"partialSuccess": {}}'),
        Reply(200, {}, b"\xff\xff not protobuf"),
    ],
)
def test_an_answer_in_another_form_still_is_a_success(receiver: Receiver, reply: Reply) -> None:
    receiver.answer(reply)
    assert send([made_trace()], target(receiver), clock=OwnClock()).spans == 2


def test_no_run_is_no_request(receiver: Receiver) -> None:
    assert send([], target(receiver)).requests == 0
    assert receiver.arrived == []


@pytest.mark.parametrize(
    ("given", "environ", "url"),
    [
        ("http://h:4318", {}, "http://h:4318/v1/traces"),
        ("http://h:4318/", {}, "http://h:4318/v1/traces"),
        ("https://h/api/public/otel", {}, "https://h/api/public/otel/v1/traces"),
        ("https://h/otel/v1/traces", {}, "https://h/otel/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1/x"}, "http://h:1/x/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:1/exact"}, "http://h:1/exact"),
        ("http://a", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b"}, "http://a/v1/traces"),
    ],
)
def test_the_address(given: str | None, environ: dict[str, str], url: str) -> None:
    assert otlp_target(given, environ=environ).url == url


@pytest.mark.parametrize(
    "given",
    ["localhost:4318", "ftp://h", "http://", "http://h:99999999", "http://h/a b", "http://u:pw@h", "h"],
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        otlp_target(given, environ={})
    assert "pw" not in str(raised.value)


def test_headers_and_resource_from_variables() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b, x=1",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x=2",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,service.name=given",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
    }
    found = otlp_target("http://h", headers={"X": "3"}, environ=environ)
    assert found.headers == {"api-key": "a b", "x": "3"}
    assert found.resource["deployment.environment.name"] == "prod"
    assert found.resource["service.name"] == "given"
    assert not found.is_compressed
    assert "a b" not in repr(found)
    named = otlp_target("http://h", environ=environ | {"OTEL_SERVICE_NAME": "desk"})
    assert named.resource["service.name"] == "desk"


@pytest.mark.parametrize("headers", [{"a b": "1"}, {"x": "1\r\ny: 2"}, {"x": "ü"}])
def test_what_is_no_header(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="header"):
        otlp_target("http://h", headers=headers, environ={})
    with pytest.raises(InvalidInput, match="OTEL_EXPORTER_OTLP_HEADERS is malformed") as raised:
        otlp_target("http://h", environ={"OTEL_EXPORTER_OTLP_HEADERS": "secretvalue"})
    assert "secretvalue" not in str(raised.value)


def test_without_the_extra_the_command_that_installs_it_is_named() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.proto'] = None\n"
        "import surefoot.traces\n"
        "from surefoot.errors import MissingExtra\n"
        "try:\n    import surefoot.traces.sending\n"
        "except MissingExtra as missing:\n    print(missing)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert 'pip install "surefoot[otel]"' in done.stdout


def test_what_is_said_of_traces_is_told_as_they_arrive() -> None:
    scores = (RunScore("E1", 1, ScoreRecord("right", value=True)),)
    traces = [replace(made_trace(steps=299), scores=scores) for _ in range(4)]
    with Hooked() as server:
        send(traces, replace(Target(server.url("/v1/traces")), remarks=Annotations(server.url(""))))
        # 1,200 spans go in three requests: the first one, two, and all traces are whole then.
        told = [
            len(json.loads(got.body)["data"]) if got.path == "/v1/span_annotations" else "spans"
            for got in server.got
        ]
    assert told == ["spans", 1, "spans", 2, "spans", 1]
