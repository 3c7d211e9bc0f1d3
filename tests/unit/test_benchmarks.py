"""What the benchmarks rest on: the same work for all, a server, the arithmetic of ratios, rows as runs leave them."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks import evals, harness, million, model_server, trace_receiver
from benchmarks.contenders import filled_ledger, serving, traced
from surefoot import App, traces
from surefoot.config import load
from surefoot.ledger.compressed import zstd
from surefoot.models.posting import post


@pytest.mark.parametrize("work", [serving.payload, serving.payload_with("sk-" + "x" * 40)])
@pytest.mark.parametrize("number", [0, 7, 10**11])
def test_a_payload_is_one_kibibyte_of_json_and_another_for_each_number(work, number):
    assert len(json.dumps(work(number), separators=(",", ":"))) == serving.BYTES
    assert work(number) != work(number + 1)


def test_what_is_traced_is_one_kibibyte_that_names_model_and_tokens():
    said = traced.answer(traced.question(7))
    assert len(json.dumps(said, separators=(",", ":"))) == serving.BYTES
    assert said["model"] == serving.MODEL
    assert said["usage"]["total_tokens"] == traced.TOKENS_IN + traced.TOKENS_OUT
    assert traced.question(7) != traced.question(8)


def test_a_receiver_counts_what_each_has_sent_it_and_how_many_spans_were_in_it():
    spans = ScopeSpans(spans=[Span(name="one"), Span(name="two")])
    message = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[spans])])
    protobuf = {"content-type": "application/x-protobuf"}
    # The end of a run, and its beginning.
    runs = b'{"id":"a","end_time":"2026-01-01"}--{"id":"b","end_time":null}'
    form = {"content-type": "multipart/form-data; boundary=x", "content-encoding": "zstd"}
    with trace_receiver.receiving() as receiver:
        for path, body, headers in (
            ("ours/v1/traces", message.SerializeToString(), protobuf),
            (
                "ours/v1/traces",
                gzip.compress(message.SerializeToString()),
                {**protobuf, "content-encoding": "gzip"},
            ),
            ("peer/runs/multipart", zstd.compress(runs), form),
        ):
            assert post(f"{receiver.url}/{path}", body, headers=headers, timeout=10).status == 200
        ours, peer, nobody = (receiver.counted(name) for name in ("ours", "peer", "nobody"))
    assert (ours.requests, ours.spans) == (2, 4)
    assert (peer.requests, peer.spans, peer.size) == (1, 1, len(zstd.compress(runs)))
    assert (nobody.requests, nobody.spans) == (0, 0)


def test_as_many_runs_are_made_as_were_asked_for_and_never_more_at_a_time_than_agreed():
    under_way, most, made = 0, 0, 0

    async def run():
        nonlocal under_way, most, made
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        made += 1

    asyncio.run(serving.in_flight(run, 3 * serving.IN_FLIGHT + 1))
    assert (made, most) == (3 * serving.IN_FLIGHT + 1, serving.IN_FLIGHT)


def test_a_ratio_is_met_up_to_its_target_and_is_shown_with_what_tells_it_from_it():
    assert harness.Ratio("peer", 1 / 60, 1 / 60).verdict == "met"
    assert harness.Ratio("peer", 1 / 59, 1 / 60).verdict == "missed"
    assert [harness.shown(value) for value in (1 / 59, 1 / 60, 0.25, 2.136)] == [
        "0.0169",
        "0.0167",
        "0.25",
        "2.14",
    ]


def test_rounds_are_taken_in_turn_and_the_first_does_not_count():
    order: list[str] = []

    def contender(name, walls):
        left = iter(walls)

        def work():
            order.append(name)
            return harness.Sample(wall=next(left), cpu=1.0)

        return harness.Contender(name, "1", work)

    rounds = 3 * harness.ROUNDS_FACTOR
    slow_at_first = [100.0, *([2.0, 1.0, 3.0] * harness.ROUNDS_FACTOR)]
    medians = harness.interleaved(
        [contender("ours", slow_at_first), contender("peer", [5.0] * (rounds + 1))], rounds=3
    )
    assert order == ["ours", "peer"] * (rounds + 1)
    assert (medians["ours"].wall, medians["peer"].wall) == (2.0, 5.0)


def test_a_filled_ledger_holds_runs_that_are_read_like_any_other(tmp_path: Path):
    (tmp_path / "surefoot.toml").touch()
    app = App(load(tmp_path))
    app.prepare()
    filled_ledger.fill(app, 120)
    runs = app.ledger.runs(limit=None)
    assert len(runs) == 120
    assert [run.created_ns for run in runs] == sorted((run.created_ns for run in runs), reverse=True)
    assert {run.status for run in runs} >= {"completed", "failed"}
    with_steps = [run for run in runs if run.totals.steps]
    assert len(with_steps) == len(range(0, 120, filled_ledger.WITH_STEPS))
    assert all(app.ledger.first_break(run.id) is None for run in runs)
    assert len(traces.trace(app.ledger, with_steps[0].id).spans) == serving.STEPS
    app.close()


def test_combinations_of_filters_are_the_same_in_every_run_and_have_at_least_two():
    choices = {name: [1, 2] for name in ("flow", "status", "tenant", "tags")}
    found = million.combinations(choices)
    assert found == million.combinations(choices)
    assert {len(wanted) for wanted in found} == {2, 3, 4}


def test_a_round_of_model_calls_makes_each_of_them_once_and_reads_its_answer():
    asked: list[str] = []
    with model_server.serving() as url:

        async def use(kind, number):
            async with openai.AsyncOpenAI(base_url=url, api_key="key") as client:

                async def ask(prompt):
                    asked.append(prompt)
                    answer = await client.chat.completions.create(
                        model=serving.MODEL, messages=[{"role": "user", "content": prompt}]
                    )
                    return answer.choices[0].message.content

                return await serving.one_and_many("sdk", ask)[kind](number)

        taken = {kind: asyncio.run(use(kind, 25)) for kind in ("sdk", "sdk-many")}
    assert sorted(asked) == sorted(2 * [serving.question(number) for number in range(25)])
    assert all(one["steps"] == 25 and one["cpu"] > 0 for one in taken.values())


def test_a_round_of_model_calls_stops_at_an_answer_that_is_none():
    async def ask(prompt):
        return "short"

    with pytest.raises(SystemExit, match="the answer is none"):
        asyncio.run(serving.rounds_of_calls(ask)(1))


def test_a_round_counts_the_cpu_of_children_that_ended():
    spin = "import time\nwhile time.process_time() < 0.3: pass"
    with serving.Round() as taken:
        subprocess.run([sys.executable, "-S", "-c", spin], check=True)
    assert taken.cpu >= 0.3


def test_what_a_library_prints_at_its_import_is_no_answer(tmp_path, monkeypatch):
    work = tmp_path / "benchmarks" / "contenders"
    work.mkdir(parents=True)
    for name in ("serving", "rows"):
        source = (harness.PROJECT / "benchmarks" / "contenders" / f"{name}.py").read_text(encoding="utf-8")
        (work / f"{name}.py").write_text(source, encoding="utf-8")
    (work / "noisy.py").write_text(
        "import os\n"
        "from benchmarks.contenders.rows import serve_rows\n"
        "print('Welcome to a library', flush=True)\n"
        "serve_rows(lambda number: print('a banner') or os.write(1, b'another one') and number)\n"
    )
    monkeypatch.setattr(harness, "PROJECT", tmp_path)
    with harness.Worker(Path(sys.executable), "noisy") as worker:
        taken = worker.ask("rows", 3)
    assert taken["steps"] == 3
    assert taken["peak"] > 1e6


def test_a_peer_that_cannot_be_made_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"promptfoo@.* needs Node.js and npm, which are not here"):
        evals._begun("promptfoo", evals.PEERS["promptfoo"], "http://127.0.0.1:1/v1")
