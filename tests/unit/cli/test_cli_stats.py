"""`surefoot stats` and `surefoot traces send` as they are typed, on runs of real flows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from openai import OpenAI

from receiver import Receiver, Reply
from surefoot import App, flow, step
from surefoot.cli.root import invoked
from surefoot.cli.since import since_ns
from surefoot.cli.stats import blocks
from surefoot.errors import InvalidInput, StepFailed
from surefoot.ledger import Payload, StartRun
from surefoot.ledger.events import START_KEY, Entry, Outcome, RunRecord
from surefoot.traces.ids import trace_id
from surefoot.values import new_id
from wire import WireServer

Surefoot = Callable[..., tuple[int, str, str]]

tries: list[str] = []


@step(retries=1, backoff=lambda _: 0.0)
def shaky(query: str) -> str:
    tries.append(query)
    if len(tries) % 2:
        raise OSError("not now")
    return query


@flow
def answer(query: str, url: str) -> str | None:
    if query == "bad":
        raise ValueError(query)
    client = OpenAI(base_url=url, api_key="test-key-of-openai")
    said = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": shaky(query)}]
    )
    return said.choices[0].message.content


@pytest.fixture
def surefoot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Surefoot:
    """The command in a project with three runs, one of which failed."""
    monkeypatch.chdir(tmp_path)
    tries.clear()
    app = App.current()
    with WireServer() as wire:
        for query in ("one", "two"):
            app.run(answer, {"query": query, "url": wire.openai_url})
        with pytest.raises(StepFailed):
            app.run(answer, {"query": "bad", "url": wire.openai_url})

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoked(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def begin_run_elsewhere() -> str:
    """A run that another process holds at this moment."""
    now_ns = time.time_ns()
    run = RunRecord(new_id(), "answer", Entry("m", "f"), "running", now_ns, lease_until_ns=now_ns + 10**12)
    start = Outcome(
        run.id, START_KEY, b"", 0, "start", "start", b"d", 0, 0, 1, 1, "completed", now_ns, now_ns
    )
    App.current().ledger.submit(StartRun(run, replace(start, inputs=Payload("{}")), [])).wait()
    return run.id


def test_the_table(surefoot: Surefoot) -> None:
    code, out, _ = surefoot("stats", "answer")
    assert code == 0
    lines = out.splitlines()
    assert lines[1] == "3 runs · 2 completed, 1 failed"
    head = lines[3].split()
    assert head[:4] == ["STEP", "KIND", "COUNT", "ERRORS"]
    assert "RETRIES" in head
    assert "HITS" not in head, "a column in which nothing stands is left out"
    names = [line.split("  ")[0] for line in lines[4:]]
    assert names == ["(whole runs)", "shaky", "openai.chat gpt-4o"]
    assert lines[4].split()[3:5] == ["3", "33.3%"]


def test_a_table_that_is_too_wide_goes_on_below() -> None:
    assert blocks([10, 5, 5, 5], 100) == [[0, 1, 2, 3]]
    assert blocks([10, 5, 5, 5], 24) == [[0, 1, 2], [0, 3]]
    assert blocks([10, 50, 50], 24) == [[0, 1], [0, 2]], "a column that never fits is shown all the same"


def test_the_same_for_programs(surefoot: Surefoot) -> None:
    code, out, err = surefoot("stats", "answer", "--since", "1h", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["runs"]["by_status"] == {"completed": 2, "failed": 1}
    shaky_row, call_row = told["steps"]
    assert (shaky_row["count"], shaky_row["retries"], shaky_row["failed"]) == (2, 2, 0)
    assert (call_row["model"], call_row["count"], call_row["error_rate"]) == ("gpt-4o", 2, 0.0)
    assert call_row["tokens"] == told["runs"]["tokens"]
    assert call_row["cost_nanos"] > 0
    assert set(call_row["latency"]) == {"p50", "p95", "p99"}
    assert told["until"] - told["since"] == pytest.approx(3600)


def test_what_is_wrong_with_stats_is_said(surefoot: Surefoot) -> None:
    code, _, err = surefoot("stats", "anwser")
    assert code == 2
    assert "the newest runs are of: answer" in err
    code, _, err = surefoot("stats", "answer", "--since", "soon")
    assert code == 2
    assert "write 30m, 1h, 7d, 2w or a date" in err


def test_the_last_run_is_sent_and_named_by_its_trace(surefoot: Surefoot) -> None:
    run = App.current().ledger.run("last")
    with Receiver() as receiver:
        code, out, _ = surefoot("traces", "send", "--to", "otlp", receiver.url, "--header", "x-api-key=k")
        assert code == 0
        assert f"sent 1 run as 1 span to {receiver.url}/v1/traces" in out
        assert trace_id(run.id).hex() in out
        [span] = receiver.spans()
        assert span.trace_id == trace_id(run.id)
        assert receiver.arrived[0].headers["x-api-key"] == "k"


def test_a_window_is_sent_without_what_has_not_ended(surefoot: Surefoot) -> None:
    begin_run_elsewhere()
    with Receiver() as receiver:
        arguments = ("--to", "otlp", receiver.url, "--since", "1h", "--flow", "answer", "--json")
        code, out, _ = surefoot("traces", "send", *arguments)
        told = json.loads(out)
        assert code == 0
        assert (told["runs"], told["unfinished"], told["retries"]) == (3, 1, 0)
        assert told["spans"] == len(receiver.spans()) == 3 + 2 * 3
        again = surefoot("traces", "send", "--to", "otlp", receiver.url, "--since", "1h", "--flow", "other")
        assert again[:2] == (0, "no run to send\n")


def test_the_receiver_of_the_environment(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=from%20env")
        code, _, _ = surefoot("traces", "send", "--to", "otlp", App.current().ledger.run("last").id[:20])
        assert code == 0
        assert receiver.arrived[0].headers["x-api-key"] == "from env"


def test_what_is_wrong_with_sending_is_said(surefoot: Surefoot) -> None:
    running = begin_run_elsewhere()
    with Receiver() as receiver:
        send = ("traces", "send", "--to", "otlp")
        code, _, err = surefoot(*send)
        assert (code, "OTEL_EXPORTER_OTLP_ENDPOINT" in err) == (2, True)
        code, _, err = surefoot(*send, "localhost:4318")
        assert (code, "write it like http://localhost:4318" in err) == (2, True)
        code, _, err = surefoot(*send, receiver.url, running)
        assert (code, "send it when it has ended" in err) == (2, True)
        code, _, err = surefoot(*send, receiver.url, running, "--since", "1h")
        assert (code, "not both" in err) == (2, True)
        code, _, err = surefoot(*send, receiver.url, "--flow", "answer")
        assert (code, "--flow narrows --since" in err) == (2, True)
        assert receiver.arrived == []
        receiver.answer(Reply(401))
        code, _, err = surefoot(*send, receiver.url, "--since", "1h")
        assert (code, "credentials are missing or wrong" in err) == (1, True)


def test_windows_of_time() -> None:
    now = 1_700_000_000_000_000_000
    assert since_ns("90s", now) == now - 90 * 10**9
    assert since_ns("1.5h", now) == now - 5_400 * 10**9
    assert since_ns(" 2W ", now) == now - 14 * 86_400 * 10**9
    assert since_ns("900000w", now) == 0
    assert since_ns("2023-11-14T00:00:00+00:00", now) == 1_699_920_000 * 10**9
    local = datetime(2023, 11, 14).astimezone().timestamp()
    assert since_ns("2023-11-14", now) == round(local * 10**9)
    for wrong in ("", "7", "d", "-1d", "yesterday", "2023-99-01"):
        with pytest.raises(InvalidInput, match="no window of time"):
            since_ns(wrong, now)
