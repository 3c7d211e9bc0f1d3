"""What goes wrong while traces are sent: the disk, the server of the ledger, the network, and odd receivers."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import socket
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from certificates import certificate_of
from engines import Place
from exporting import SECOND, SENDER, arrived, due_now, ended, exporter, rows, until
from hooked import Answer, Hooked
from postgres import private_server
from receiver import Receiver, Reply
from surefoot.errors import LedgerError
from surefoot.ledger import Keyring, Ledger, Payloads, PostgresLedger, SqliteLedger, TakeDeliveries
from surefoot.tracecontext import span_id, trace_id
from surefoot.traces import exporter as exporting
from surefoot.traces import trace
from surefoot.traces.sampling import delivery_name
from surefoot.traces.shipping import Shipping
from surefoot.traces.targets import Target

STEPS = 20_000 if os.environ.get("SUREFOOT_TEST_TRACES") == "all" else 1_200
"""Of one run whose spans are too many for one request."""


def test_a_disk_that_is_full_as_progress_is_noted_loses_nothing(ledger: Ledger, tmp_path: Path) -> None:
    if not isinstance(ledger, SqliteLedger):
        pytest.skip("the disk of a server is its own")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger)
        receiver.before = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            with pytest.raises(LedgerError):
                sending.deliver()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, former)
        receiver.before = lambda: None
        assert rows(ledger, run)[0].standing == "waiting"
        # Once its time is over, whoever comes next sends it again.
        due_now(ledger, run)
        assert sending.deliver() == {"there": 1}
        assert [(span.trace_id, span.span_id) for span in receiver.spans()] == [
            (trace_id(run), span_id(run))
        ] * 2
        assert sending.standing()["there"].waiting == 0


def test_a_ledger_whose_server_is_restarted_goes_on_with_its_receivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_AFTER_FAILURE_S", 0.05)
    with private_server() as server, Receiver() as receiver:
        ledger = PostgresLedger(server.url(), Payloads(Keyring(tmp_path / "key")))
        sending = exporter(ledger, tmp_path, receiver)
        sending.start()
        runs = [ended(ledger)]
        until(lambda: arrived(receiver))
        for ends in (server.stop, server.kill):
            gone = threading.Event()
            # As what was sent is about to be noted.
            receiver.before = lambda ends=ends, gone=gone: (ends(), gone.set())
            runs.append(ended(ledger))
            assert gone.wait(60)
            receiver.before = lambda: None
            server.start()
            if rows(ledger, runs[-1])[0].done_ns is None:
                due_now(ledger, runs[-1])
            runs.append(ended(ledger))
        until(lambda: set(arrived(receiver)) == {trace_id(run) for run in runs})
        until(lambda: sending.standing()["there"].waiting == 0)
        assert sending.standing()["there"].not_taken == 0
        sending.close()
        ledger.close()


@pytest.mark.parametrize("status", [429, 503])
def test_a_date_is_waited_for_and_nonsense_is_not(ledger: Ledger, tmp_path: Path, status: int) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger)
        until_ns = time.time_ns() // SECOND * SECOND + 600 * SECOND
        receiver.answer(Reply(status, {"retry-after": formatdate(until_ns / SECOND, usegmt=True)}))
        sending.deliver()
        # A pause is counted from when the answer was read.
        assert abs(rows(ledger, run)[0].next_ns - until_ns) < 60 * SECOND
        for nonsense in ("soon", "-5", "nan", "inf", "1e999", "Tue, 99 Foo 2026", "", "0x10"):
            due_now(ledger, run)
            receiver.answer(Reply(status, {"retry-after": nonsense}))
            exporter(ledger, tmp_path, receiver).deliver()
            assert rows(ledger, run)[0].next_ns <= time.time_ns() + SECOND, nonsense
        due_now(ledger, run)
        exporter(ledger, tmp_path, receiver).deliver()
        assert arrived(receiver) == [trace_id(run)]


def test_a_host_that_is_not_known_and_tls_that_fails_are_outages(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certificate_of("localhost", tmp_path)
    with Receiver() as plain, Receiver(certificate=certificate) as secured:
        exporter(ledger, tmp_path, plain).deliver()
        run = ended(ledger)
        for url, said in (
            ("http://no-such-host.invalid", "its host is not known"),
            (plain.url.replace("http:", "https:"), "is it http:// rather than https://"),
            (secured.url, "its certificate is not trusted"),
            (secured.url.replace("https:", "http:"), "the connection failed"),
        ):
            sending = exporter(ledger, tmp_path, url)
            assert sending.deliver() == {"there": 1}
            standing = sending.standing()["there"]
            assert (standing.waiting, standing.failing, standing.shipped.failures) == (1, 1, 1)
            assert said in standing.shipped.problem
            due_now(ledger, run)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        exporter(ledger, tmp_path, secured).deliver()
        assert arrived(secured) == [trace_id(run)]
        assert plain.arrived == []


def test_an_answer_that_never_ends_is_an_outage(ledger: Ledger, tmp_path: Path) -> None:
    with Receiver() as receiver, Hooked() as server:
        exporter(ledger, tmp_path, receiver).deliver()
        run = ended(ledger)
        exporter(ledger, tmp_path, server.url("/v1/traces")).deliver()
        assert rows(ledger, run)[0].standing == "delivered"
        later = ended(ledger)
        looking = exporter(ledger, tmp_path, receiver)
        looking._lookout.look()
        server.answers.append(Answer(dribble=0.02))
        target = Target(server.url("/v1/traces"))
        shipping = Shipping(ledger, delivery_name("there"), lambda: target, timeout=0.1)
        assert shipping.send_due() == 1
        assert "no answer within 0.1 s" in rows(ledger, later)[0].error
        assert rows(ledger, later)[0].standing == "waiting"


def test_whoever_redirects_gets_no_further_and_nobody_else_gets_what_lets_in(
    ledger: Ledger, tmp_path: Path
) -> None:
    secret = 'headers = { authorization = "Bearer ${env:TOKEN}" }\n'
    with Hooked() as here, Hooked() as there, Receiver() as receiver:
        exporter(ledger, tmp_path, receiver).deliver()
        run = ended(ledger)
        for status in (301, 302, 303, 307, 308):
            here.answers.append(Answer(status, {"location": there.url("/v1/traces")}))
            sending = exporter(ledger, tmp_path, here.url(""), secret, environ={"TOKEN": "a-secret-word"})
            sending.deliver()
            assert f"it has moved: send to {there.url('/v1/traces')}" in rows(ledger, run)[0].error
            assert rows(ledger, run)[0].standing == "waiting"
            due_now(ledger, run)
        assert [got.headers["authorization"] for got in here.got] == ["Bearer a-secret-word"] * 5
        assert there.got == []
        assert "a-secret-word" not in str(rows(ledger, run))


def test_an_answer_that_is_packed_is_read(ledger: Ledger, tmp_path: Path) -> None:
    packed = {"content-encoding": "gzip"}
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    partial.partial_success.error_message = "it is too old"
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        runs = [ended(ledger) for _ in range(4)]
        receiver.answer(
            # The batch, and then each alone.
            Reply(400, packed, gzip.compress(b"no")),
            Reply(200, packed, gzip.compress(b"")),
            Reply(200, packed, gzip.compress(partial.SerializeToString())),
            Reply(422, packed, gzip.compress(b"a word " * 100_000)),
            Reply(200, packed, b"no gzip"),
        )
        sending.deliver()
        rejected, refused = sorted(
            (row.error for run in runs for row in rows(ledger, run) if row.standing == "given up"), key=len
        )
        assert rejected == "it rejected 1 spans: it is too old"
        assert "answered with 422 (a word a word" in refused
        assert [row.standing for run in runs for row in rows(ledger, run)].count("delivered") == 2


def test_one_run_with_many_spans_goes_in_many_requests_and_again_where_it_was_cut_off(
    place: Place, tmp_path: Path
) -> None:
    ledger = place.open()
    with Receiver() as receiver:
        sending = exporter(ledger, place.folder, receiver)
        sending.deliver()
        process = place.in_child(SENDER)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        # Killed between its parts: the first is taken, and more are to come.
        receiver.before = lambda: process.kill() if len(receiver.arrived) == 2 else None
        run = ended(ledger, steps=STEPS)
        process.wait(100)
        until(lambda: len(receiver.arrived) == 2)
        process.communicate(timeout=60)
        receiver.before = lambda: None
        due_now(ledger, run)
        assert sending.deliver() == {"there": 1}
        found = trace(ledger, run)
        expected = {span_id(run), *(span_id(run, span.id) for span in found.walk())}
        assert len(expected) == STEPS + 1
        assert {span.span_id for span in receiver.spans()} == expected
        assert max(len(one.message.resource_spans[0].scope_spans[0].spans) for one in receiver.arrived) <= 512
        assert sending.standing()["there"].waiting == 0


def test_a_trace_that_takes_longer_than_its_time_is_not_sent_for_ever(ledger: Ledger, tmp_path: Path) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger)

        def another_one() -> None:
            due_now(ledger, run)
            ledger.submit(TakeDeliveries(delivery_name("there"), 300 * SECOND, 10)).result()

        receiver.before = another_one
        sending.deliver()
        [row] = rows(ledger, run)
        assert (row.tries, row.standing) == (2, "delivered")


def test_whoever_takes_the_connection_and_says_nothing_has_taken_nothing(
    ledger: Ledger, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        sending = exporter(ledger, tmp_path, receiver)
        sending.deliver()
        run = ended(ledger)
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.listen()
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        target = Target(f"{url}/v1/traces")
        shipping = Shipping(ledger, delivery_name("there"), lambda: target, timeout=0.1)
        exporter(ledger, tmp_path, url)._lookout.look()
        assert shipping.send_due() == 1
        assert rows(ledger, run)[0].standing == "waiting"
