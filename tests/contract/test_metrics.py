"""What a process counts of its runs: by step, model, prompt version and tier, for Prometheus and for OTLP receivers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from ledgers import outcome
from receiver import Receiver, Reply, attributes
from serving import until
from surefoot import App, Tier, Tiered, flow, generate, scripted, step
from surefoot.config import load
from surefoot.errors import InvalidInput
from surefoot.ledger import Payload
from surefoot.server.working.figures import Figures
from surefoot.traces.instruments import MOST_SERIES, Instrument, Instruments
from surefoot.traces.measuring import Measuring, request_of
from surefoot.traces.metering import Meter
from surefoot.traces.targets import otlp_target
from surefoot.values import CallFacts, Money, PromptRef, Usage

PROMPT = """\
---
name: answer
version: "3"
inputs: {about: string}
---
user:
Say something about {{about}}.
"""
dying: list[BaseException] = []


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


@step
def noted(text: str) -> str:
    if dying:
        raise dying.pop()
    return text


@step(retries=1)
def odd(n: int) -> int:
    if n % 2 == 0:
        raise ValueError("even")
    return n


@flow(trusted=True)
async def answers(about: str) -> str:
    ladder = Tiered([Tier("openai:gpt-4o-mini", accept=lambda text: len(text) > 10), Tier("openai:gpt-4o")])
    said = await generate("answer", about=about, using=ladder)
    return noted(said)


@flow
def counts(n: int) -> str:
    return noted(str(n))


@flow
def fails(n: int) -> int:
    return odd(n)


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(autouse=True)
def nothing_dies() -> None:
    dying.clear()


@contextmanager
def opened(folder: Path, settings: str = "") -> Iterator[App]:
    (folder / "prompts").mkdir(exist_ok=True)
    (folder / "prompts" / "answer.prompty").write_text(PROMPT)
    (folder / "surefoot.toml").write_text(settings)
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal"}
    with closing(App(load(folder, environ=environ))) as app, app.entered():
        yield app


def lines(meter: Meter | None) -> list[str]:
    assert meter is not None
    return [line for line in meter.lines() if not line.startswith("#")]


def of(meter: Meter | None, name: str) -> list[str]:
    """The lines of one metric, sums and buckets left out."""
    return [line for line in lines(meter) if line.startswith((f"{name}{{", f"{name}_count{{"))]


def test_calls_are_counted_by_model_prompt_version_and_tier(tmp_path: Path) -> None:
    with opened(tmp_path) as app, scripted(["Fire.", "A fire in the archive."]):
        app.meter = Meter()
        app.run(answers, {"about": "fire"})
        meter = app.meter
    assert of(meter, "surefoot_tier_answers_total") == [
        'surefoot_tier_answers_total{flow="answers",tier="1",model="openai:gpt-4o-mini",taken="no"} 1',
        'surefoot_tier_answers_total{flow="answers",tier="2",model="openai:gpt-4o",taken="yes"} 1',
    ]
    whose = 'flow="answers",model="{}",prompt="answer",prompt_version="3"'
    assert of(meter, "surefoot_call_seconds") == [
        f'surefoot_call_seconds_count{{{whose.format(model)},status="completed"}} 1'
        for model in ("gpt-4o", "gpt-4o-mini")
    ]
    said = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"'
    assert any(
        line.startswith(f"gen_ai_client_operation_duration_seconds_count{{{said}") for line in lines(meter)
    )
    tokens = [line for line in lines(meter) if line.startswith(f"gen_ai_client_token_usage_count{{{said}")]
    assert len(tokens) == 2
    assert any('gen_ai_token_type="input"' in line for line in tokens)
    assert 'surefoot_step_seconds_count{flow="answers",step="noted",status="completed"} 1' in lines(meter)


def test_what_is_replayed_is_counted_once_and_each_attempt_by_how_it_ended(tmp_path: Path) -> None:
    with opened(tmp_path) as app:
        app.meter = Meter()
        dying.append(Killed())
        with scripted(["Fire in the archive, and more."]), pytest.raises(Killed):
            app.run(answers, {"about": "fire"})
        [run] = app.ledger.runs()
        app.resume(run.id, flow=answers)
        assert sum(int(line[-1]) for line in of(app.meter, "surefoot_call_seconds")) == 1
        assert 'surefoot_step_seconds_count{flow="answers",step="noted",status="completed"} 1' in lines(
            app.meter
        )
        with pytest.raises(Exception, match="even"):
            app.run(fails, {"n": 2})
        assert of(app.meter, "surefoot_step_seconds")[-1] == (
            'surefoot_step_seconds_count{flow="fails",step="odd",status="failed"} 2'
        )


def a_call(**rest: Any) -> Any:
    facts = CallFacts("azure", "gpt-4o", "gpt-4o-2024", Usage(12, 0, 5, 0), Money(3_000), 20_000_000)
    given = {"kind": "call", "name": "openai.chat", "call": facts, "ended_ns": 500_001_001} | rest
    return outcome("run", 1, **given)


def test_an_answer_of_the_cache_is_a_hit_and_nothing_else() -> None:
    meter = Meter()
    meter.take("f", a_call(is_cached=True))
    assert lines(meter) == [
        'surefoot_call_cache_hits_total{flow="f",model="gpt-4o-2024",prompt="",prompt_version=""} 1'
    ]


def test_the_metrics_of_the_conventions_have_their_names_units_and_bounds() -> None:
    meter = Meter()
    meter.take("f", a_call(prompt=PromptRef("p", "", "0123456789abcdef"), status="failed"))
    request = request_of(meter, {"service.name": "s"}, began_ns=1, now_ns=2)
    assert request is not None
    [told] = request.resource_metrics
    metrics = {metric.name: metric for metric in told.scope_metrics[0].metrics}
    usage = metrics["gen_ai.client.token.usage"]
    assert usage.unit == "{token}"
    [point, _] = usage.histogram.data_points
    assert [*point.explicit_bounds][:3] == [1, 4, 16]
    assert point.explicit_bounds[-1] == 67_108_864
    assert (point.count, point.sum, len(point.bucket_counts)) == (1, 12, 15)
    assert attributes(point) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024",
        "gen_ai.token.type": "input",
    }
    duration = metrics["gen_ai.client.operation.duration"]
    assert duration.unit == "s"
    [point] = duration.histogram.data_points
    assert attributes(point)["error.type"] == "_OTHER"
    assert [*point.explicit_bounds] == pytest.approx([0.01 * 2**n for n in range(14)])
    cost = metrics["surefoot_call_cost_dollars_total"]
    assert cost.sum.is_monotonic
    [point] = cost.sum.data_points
    assert point.as_double == pytest.approx(3e-6)
    assert attributes(point)["prompt_version"] == "0123456789ab"
    assert (point.start_time_unix_nano, point.time_unix_nano) == (1, 2)


def test_a_step_that_is_only_called_like_a_tier_is_none() -> None:
    meter = Meter()
    for output in ("[1]", '{"accepted":"so"}', "not to be read", "null"):
        meter.take("f", outcome("run", 1, name="tier 1", output=Payload(output)))
    assert not of(meter, "surefoot_tier_answers_total")


def test_an_intent_is_no_end() -> None:
    meter = Meter()
    meter.take("f", outcome("run", 1, status="running"))
    assert not lines(meter)


COUNTER = Instrument("things_total", "Things.")


def test_names_without_end_are_counted_together() -> None:
    found = Instruments(COUNTER)
    for n in range(MOST_SERIES + 5):
        found.add(COUNTER, (("name", str(n)),))
    found.add(COUNTER, (("name", "0"),))
    [(_, series)] = found.read()
    assert len(series) == MOST_SERIES + 1
    assert series[("name", "other"),] == 5
    assert series[("name", "0"),] == 2


def test_what_several_processes_have_counted_is_added_up() -> None:
    one, other = Meter(), Meter()
    for meter in (one, other, other):
        meter.take("f", a_call())
        meter.take("f", outcome("run", 1))
    both = Meter()
    both.hear(one.said())
    both.hear(other.said())
    alone = Meter()
    for _ in range(3):
        alone.take("f", a_call())
        alone.take("f", outcome("run", 1))
    assert lines(both) == lines(alone)


def test_what_a_provider_calls_its_model_is_cut_and_can_be_written() -> None:
    meter = Meter()
    for name in ("gpt-\ud800", "x" * 300_000):
        facts = CallFacts("openai", name, name)
        meter.take("f", outcome("run", 1, kind="call", name="openai.chat", call=facts))
    text = "\n".join(lines(meter))
    assert len(text.encode()) < 30_000
    assert 'model="gpt-?"' in text
    both = Meter()
    both.hear(orjson.loads(orjson.dumps(meter.said())))
    assert lines(both) == lines(meter)


def test_what_other_processes_have_counted_is_told_and_not_sent() -> None:
    former = Figures(Meter())
    former.answered("/healthz", 200, 0.1)
    gone = Meter()
    gone.take("f", a_call())
    meter = Meter()
    figures = Figures(meter)
    figures.add({**former.said(), **gone.said()})
    meter.take("f", a_call())
    text = figures.text(gauges={}, runs={})
    assert (
        'surefoot_call_seconds_count{flow="f",model="gpt-4o-2024",prompt="",prompt_version="",status="completed"} 2'
        in text
    )
    assert 'surefoot_http_requests_total{route="/healthz",status="200"} 1' in text
    again = Figures()
    again.add(figures.said())
    assert again.text(gauges={}, runs={}) == text
    # Each process sends for itself.
    [line] = of(meter, "surefoot_call_seconds")
    assert line.endswith(" 1")


def test_threads_lose_nothing() -> None:
    found = Instruments(COUNTER)

    def work() -> None:
        for n in range(2_000):
            found.add(COUNTER, (("name", str(n % 3)),))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [(_, series)] = found.read()
    assert sum(value for value in series.values() if isinstance(value, float | int)) == 8_000


SETTINGS = '[traces.there]\nurl = "{}"\nmetrics = true\n'


def test_a_receiver_gets_the_metrics_of_the_process_as_it_ends(tmp_path: Path) -> None:
    with Receiver() as receiver:
        with opened(tmp_path, SETTINGS.format(receiver.url)) as app, scripted(["A fire in the archive."]):
            app.run(answers, {"about": "fire"})
        [request] = receiver.measured
        told = request.resource_metrics[0]
        resource = attributes(told.resource)
        assert resource["service.name"] == "surefoot"
        assert resource["service.instance.id"]
        names = {metric.name for metric in told.scope_metrics[0].metrics}
        assert {"gen_ai.client.token.usage", "surefoot_step_seconds"} <= names
        assert receiver.spans()


def test_a_receiver_of_traces_that_is_slow_keeps_no_metrics(tmp_path: Path) -> None:
    with Receiver() as receiver, Receiver() as slow:
        hang = threading.Event()
        slow.before = lambda: hang.wait(30)
        settings = SETTINGS.format(receiver.url) + SETTINGS.format(slow.url).replace("there", "slow")
        with opened(tmp_path, settings) as app:
            app.run(counts, {"n": 1})
        # As the process would end here.
        assert len(receiver.measured) == 1
        hang.set()


def test_metrics_that_are_not_taken_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    meter = Meter()
    meter.take("f", outcome("run", 1))
    said = ExportMetricsServiceResponse()
    said.partial_success.rejected_data_points = 7
    said.partial_success.error_message = "no cumulative ones here"
    with Receiver() as receiver:
        receiver.answer(Reply(body=said.SerializeToString()))
        measuring = Measuring(
            meter, {"there": lambda: otlp_target(receiver.url, environ={}, signal="metrics")}
        )
        measuring.start()
        measuring.end()
        measuring.join(time.monotonic() + 20)
    [record] = caplog.records
    assert "rejected 7 of them: 'no cumulative ones here'" in record.message


@pytest.mark.parametrize(
    ("given", "environ", "url"),
    [
        ("http://here:4318", {}, "http://here:4318/v1/metrics"),
        ("http://here:4318/", {}, "http://here:4318/v1/metrics"),
        ("http://here/otlp/v1/traces/", {}, "http://here/otlp/v1/metrics"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:1"}, "http://all:1/v1/metrics"),
        (None, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://m/x"}, "http://m/x"),
    ],
)
def test_where_metrics_go(given: str | None, environ: dict[str, str], url: str) -> None:
    assert otlp_target(given, environ=environ, signal="metrics").url == url


def test_metrics_have_headers_of_their_own_and_no_place_where_only_traces_have_one() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x",
        "OTEL_EXPORTER_OTLP_HEADERS": "of=all",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=traces",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "key=metrics",
    }
    assert otlp_target("http://m", environ=environ, signal="metrics").headers == {
        "of": "all",
        "key": "metrics",
    }
    with pytest.raises(InvalidInput, match="no receiver of metrics is named"):
        otlp_target(None, environ=environ, signal="metrics")


def test_without_the_setting_nothing_is_counted_or_sent(tmp_path: Path) -> None:
    with Receiver() as receiver:
        settings = SETTINGS.format(receiver.url).replace("true", "false")
        with opened(tmp_path, settings) as app, scripted(["A fire in the archive."]):
            app.run(answers, {"about": "fire"})
            assert app.meter is None
        assert receiver.spans()
        assert not receiver.measured


def test_each_request_tells_all_from_the_beginning_and_an_outage_is_one_warning(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    meter = Meter()
    meter.take("f", outcome("run", 1))
    with Receiver() as receiver, opened(tmp_path, SETTINGS.format(receiver.url)) as app:
        receiver.answer(Reply(404), Reply(503))
        target = receiver_target(app)
        with caplog.at_level(logging.INFO, logger="surefoot.traces"):
            measuring = Measuring(meter, {"there": target}, every=0.01)
            measuring.start()
            until(lambda: len(receiver.measured) >= 2, what="it is told of again")
            meter.take("f", outcome("run", 1))
            measuring.end()
            measuring.join(time.monotonic() + 20)
        counts = [
            point.count
            for request in receiver.measured
            for metric in request.resource_metrics[0].scope_metrics[0].metrics
            for point in metric.histogram.data_points
        ]
        assert counts[0] == 1
        assert counts[-1] == 2
    levels = [record.levelname for record in caplog.records if "metrics are not taken" in record.message]
    assert levels == ["WARNING", "INFO"]


def receiver_target(app: App) -> Callable[[], Any]:
    from surefoot.traces.receivers import Receiver as Named

    return lambda: Named.of(app.config.traces["there"]).metrics_target({})
