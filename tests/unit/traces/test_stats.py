"""Figures over many runs: what is counted, what it is counted to, and the percentiles beside numpy's."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import UnknownFlow
from surefoot.ledger import (
    END_KEY,
    START_KEY,
    Append,
    EndRun,
    Entry,
    Keyring,
    Outcome,
    Payload,
    Payloads,
    RunRecord,
    SqliteLedger,
    StartRun,
    Totals,
)
from surefoot.traces import FlowStats, Series, StepStats, percentile, stats
from surefoot.traces.stats import quantiles
from surefoot.values import CallFacts, Money, PromptRef, StepKind, Usage, first_id, new_id

MS = 1_000_000
HOUR = 3_600_000_000_000
NOW = 1_800_000_000_000_000_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    made = SqliteLedger(tmp_path / "ledger.db", Payloads(Keyring(tmp_path / "key")), synchronous="NORMAL")
    yield made
    made.close()


class Recorder:
    """Writes one run as a flow would, row by row; times are milliseconds from its beginning."""

    def __init__(self, ledger: SqliteLedger, *, flow: str = "answer", created_ns: int = NOW - HOUR) -> None:
        self.ledger = ledger
        self.began = created_ns
        self.run = RunRecord(
            id_at(created_ns), flow, Entry("m", "f"), "running", created_ns, lease_until_ns=NOW * 2
        )
        self.totals = Totals()
        start = self._outcome(START_KEY, "start", "start", 0, 0)
        ledger.submit(StartRun(self.run, start, [])).wait()

    def step(
        self,
        name: str,
        began: int,
        ended: int,
        *,
        kind: StepKind = "step",
        attempt: int = 1,
        key: bytes = b"",
        path: bytes = b"",
        **more: object,
    ) -> bytes:
        key = key or bytes.fromhex(f"{new_key():032x}")
        outcome = replace(
            self._outcome(key, kind, name, began, ended),
            attempt=attempt,
            path=path,
            **more,  # type: ignore[arg-type]
        )
        self.totals = self.totals.plus(outcome)
        self.ledger.submit(Append(outcome, [])).wait()
        return key

    def call(self, began: int, ended: int, facts: CallFacts, **more: object) -> bytes:
        return self.step("openai.chat", began, ended, kind="call", call=facts, **more)  # type: ignore[arg-type]

    def end(self, at: int, status: str = "completed") -> None:
        outcome = replace(self._outcome(END_KEY, "end", "end", at, at), status=status)  # type: ignore[arg-type]
        self.ledger.submit(EndRun(outcome, [], status, self.totals)).wait()  # type: ignore[arg-type]

    def _outcome(self, key: bytes, kind: str, name: str, began: int, ended: int) -> Outcome:
        return Outcome(
            self.run.id, key, b"", 0, kind, name, b"digest", 0, 0, 1, 1, "completed",  # type: ignore[arg-type]
            self.began + began * MS, self.began + ended * MS, inputs=Payload('"in"'), output=Payload('"out"'),
        )  # fmt: skip


_keys = iter(range(1, 1 << 40))


def new_key() -> int:
    # Spread over the key space, as digests are.
    return next(_keys) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 127)


def id_at(wall_ns: int) -> str:
    """An id of that time: its first 10 characters are the milliseconds."""
    return first_id(wall_ns)[:10] + new_id()[10:]


def facts(model: str = "gpt-4o", cost: int | None = 1_000, **more: object) -> CallFacts:
    return CallFacts(
        "openai",
        model,
        model,
        Usage(100, 20, 10, 3),
        None if cost is None else Money(cost),
        **more,  # type: ignore[arg-type]
    )


def found(ledger: SqliteLedger, *, since_ns: int = 0, flow: str = "answer") -> FlowStats:
    return stats(ledger, flow, since_ns=since_ns, now_ns=NOW)


def one(figures: FlowStats, name: str, model: str = "") -> StepStats:
    [step] = [step for step in figures.steps if (step.series.name, step.series.model) == (name, model)]
    return step


@given(
    values=st.lists(st.integers(0, 10**13), min_size=1, max_size=200),
    share=st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0]) | st.floats(0, 1),
)
def test_percentiles_are_those_of_numpy(values: list[int], share: float) -> None:
    expected = np.percentile(np.array(values, dtype=np.float64), share * 100, method="linear")
    assert percentile(sorted(values), share) == pytest.approx(expected, rel=1e-9, abs=1e-3)


def test_percentiles_of_one_value_and_of_none() -> None:
    assert quantiles([7]) == quantiles([7, 7, 7])
    assert quantiles([]) is None
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_count_retries_and_failures_of_a_step(ledger: SqliteLedger) -> None:
    run = Recorder(ledger)
    key = run.step("fetch", 0, 10, status="failed", retry_at_ns=1)
    run.step("fetch", 10, 30, key=key, attempt=2, status="failed", retry_at_ns=1)
    run.step("fetch", 30, 70, key=key, attempt=3)
    run.step("fetch", 80, 90, status="failed")
    run.step("fetch", 90, 95, is_degraded=True)
    run.end(100)
    step = one(found(ledger), "fetch")
    assert (step.count, step.attempts, step.retries, step.failed, step.degraded) == (3, 5, 2, 1, 1)
    assert step.error_rate == pytest.approx(1 / 3)
    expected = np.percentile([10, 20, 40, 10, 5], [50, 95, 99]) * MS
    assert step.latency is not None
    assert [step.latency.p50, step.latency.p95, step.latency.p99] == pytest.approx(expected)
    assert step.first_token is None


def test_calls_are_told_apart_by_model(ledger: SqliteLedger) -> None:
    run = Recorder(ledger)
    run.call(0, 10, facts("small", first_token_ns=2 * MS))
    run.call(10, 30, facts("small", first_token_ns=4 * MS), is_cached=True)
    run.call(30, 90, facts("large", cost=None))
    run.end(100)
    figures = found(ledger)
    small, large = one(figures, "openai.chat", "small"), one(figures, "openai.chat", "large")
    assert (small.count, small.cached, large.count) == (2, 1, 1)
    assert small.first_token is not None
    assert (small.first_token.p50, small.first_token.p95) == (3 * MS, pytest.approx(3.9 * MS))
    assert small.usage == Usage(200, 40, 20, 6)
    assert (small.cost, small.is_cost_complete) == (Money(2_000), True)
    assert (large.cost, large.is_cost_complete) == (Money(0), False)


def test_a_step_has_the_tokens_of_the_calls_inside_of_it_once(ledger: SqliteLedger) -> None:
    run = Recorder(ledger)
    outer = run.step("plan", 0, 100)
    inner = run.step("plan", 0, 90, path=outer)
    other = run.step("write", 0, 50, path=outer + inner)
    run.call(0, 10, facts(), path=outer + inner + other)
    run.call(10, 20, facts(), path=b"\x11" * 16)
    run.end(100)
    figures = found(ledger)
    assert one(figures, "plan").usage == one(figures, "write").usage == Usage(100, 20, 10, 3)
    assert one(figures, "plan").cost == Money(1_000)
    assert one(figures, "openai.chat", "gpt-4o").usage == Usage(200, 40, 20, 6)
    assert figures.runs.usage == Usage(200, 40, 20, 6)


def test_the_runs_themselves(ledger: SqliteLedger) -> None:
    for number in range(4):
        run = Recorder(ledger)
        run.call(0, 5, facts())
        run.end(10 * (number + 1), "failed" if number == 3 else "completed")
    Recorder(ledger)
    runs = found(ledger).runs
    assert runs.count == 5
    assert runs.standings == {"completed": 3, "failed": 1, "running": 1}
    assert runs.error_rate == 0.25
    assert runs.latency is not None
    assert runs.latency.p50 == 25 * MS
    assert (runs.calls, runs.usage, runs.cost) == (4, Usage(400, 80, 40, 12), Money(4_000))


def test_steps_come_in_the_order_in_which_they_begin(ledger: SqliteLedger) -> None:
    for _ in range(3):
        run = Recorder(ledger)
        for number, name in enumerate(["retrieve", "ask", "check"]):
            run.step(name, number * 10, number * 10 + 5)
        run.end(40)
    assert [step.series for step in found(ledger).steps] == [
        Series("step", "retrieve"),
        Series("step", "ask"),
        Series("step", "check"),
    ]


def test_only_runs_of_the_flow_that_began_in_the_window_count(ledger: SqliteLedger) -> None:
    for hours in (1, 30, 200):
        run = Recorder(ledger, created_ns=NOW - hours * HOUR)
        run.step("fetch", 0, 1)
        run.end(2)
    other = Recorder(ledger, flow="other")
    other.step("fetch", 0, 1)
    other.end(2)
    assert one(found(ledger, since_ns=NOW - 24 * HOUR), "fetch").count == 1
    assert one(found(ledger, since_ns=NOW - 100 * HOUR), "fetch").count == 2
    assert found(ledger, since_ns=NOW - 100 * HOUR).runs.count == 2
    assert one(found(ledger), "fetch").count == 3
    empty = found(ledger, since_ns=NOW)
    assert (empty.runs.count, empty.runs.latency, empty.steps) == (0, None, ())


def test_an_unknown_flow_is_an_error_that_lists_known_ones(ledger: SqliteLedger) -> None:
    with pytest.raises(UnknownFlow, match="it holds no runs yet"):
        found(ledger)
    Recorder(ledger)
    with pytest.raises(UnknownFlow, match=r"'anwser'.*the newest runs are of: answer"):
        found(ledger, flow="anwser")


def test_outcomes_come_by_run_and_step_without_payloads(ledger: SqliteLedger) -> None:
    for _ in range(2):
        run = Recorder(ledger)
        keys = [run.step("a", 0, 1, attempt=attempt, key=b"\x05" * 16) for attempt in (1, 2)]
        run.step("b", 0, 1, key=b"\x03" * 16)
        run.end(2)
        assert keys[0] == keys[1]
    rows = list(ledger.outcomes_of("answer"))
    places = [(row.run_id, row.key, row.attempt) for row in rows]
    assert places == sorted(places)
    assert len(rows) == 2 * 5
    assert {(row.inputs, row.output) for row in rows} == {(Payload(), Payload())}


def test_many_outcomes_do_not_fill_memory(ledger: SqliteLedger) -> None:
    """10,000 outcomes as objects are some 7 MB; what is kept of each are 8 bytes per duration."""
    steps = 200
    for _ in range(50):
        run = Recorder(ledger)
        pending = []
        for number in range(steps):
            outcome = replace(
                run._outcome(bytes.fromhex(f"{new_key():032x}"), "step", f"s{number % 5}", number, number + 1)
            )
            pending.append(ledger.submit(Append(outcome, [])))
        pending[-1].wait()
        run.end(steps)
    tracemalloc.start()
    figures = found(ledger)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(step.count for step in figures.steps) == 50 * steps
    assert peak < 2_000_000


def test_calls_are_counted_by_model_and_by_the_version_of_the_prompt_they_asked_with(
    ledger: SqliteLedger,
) -> None:
    run = Recorder(ledger)
    old, new = PromptRef("answer", "1", "a" * 64), PromptRef("answer", "", "b" * 64)
    run.call(0, 100, facts("gpt-4o"), prompt=old)
    run.call(100, 400, replace(facts("gpt-4o"), served_model="gpt-4o-2024"), prompt=new)
    key = run.call(400, 450, facts("gpt-4o"), prompt=old, status="failed")
    run.call(500, 600, replace(facts("gpt-4o"), served_model="other"), prompt=new, attempt=2, key=key)
    run.call(700, 800, facts("gpt-4o-mini"))
    run.end(900)
    seen = found(ledger)
    assert [(one.series.name, one.series.model, one.count, one.attempts) for one in seen.models] == [
        ("gpt-4o", "", 2, 3),
        ("gpt-4o", "gpt-4o-2024", 1, 1),
        ("gpt-4o-mini", "", 1, 1),
    ]
    assert [one.cost for one in seen.models] == [Money(3_000), Money(1_000), Money(1_000)]
    assert [(one.series.name, one.series.version, one.count) for one in seen.prompts] == [
        ("answer", "1", 2),
        ("answer", "b" * 12, 1),
    ]
    assert seen.prompts[0].latency == quantiles([100 * MS, 50 * MS, 100 * MS])
    assert not seen.tiers
    assert {one.series.kind for one in seen.steps} == {"call"}


def verdict(tier: int, model: str, *, accepted: bool) -> Payload:
    said = {"tier": tier, "of": 2, "model": model, "accepted": accepted}
    return Payload(orjson.dumps(said).decode())


def test_calls_are_counted_by_the_tier_that_made_them(ledger: SqliteLedger) -> None:
    run = Recorder(ledger)
    ladder = run.step("answer", 0, 1_000)
    run.call(0, 10, facts("outside"))
    inside = {"path": ladder}
    # Two samples, then a judge inside of the verdict.
    run.call(100, 200, facts("mini"), **inside)
    run.call(210, 300, facts("mini"), **inside)
    first = run.step("tier 1", 300, 400, output=verdict(1, "openai:mini", accepted=False), **inside)
    run.call(310, 390, facts("judge"), path=ladder + first)
    # The strong one calls a tool that asks a model itself.
    run.call(410, 500, facts("strong"), **inside)
    tool = run.step("look_up", 500, 600, **inside)
    run.call(510, 590, facts("embedder"), path=ladder + tool)
    run.call(610, 700, facts("strong"), **inside)
    run.step("tier 2", 700, 701, output=verdict(2, "openai:strong", accepted=False), **inside)
    run.call(710, 800, facts("shadow"), **inside)
    run.step("tier 9", 900, 901, output=Payload('"a step that is called so"'))
    run.end(1_000)
    first_tier, second_tier = found(ledger).tiers
    assert first_tier.series == Series("tier", "answer", "openai:mini", tier=1)
    assert (first_tier.count, first_tier.taken) == (1, 0)
    assert first_tier.cost == Money(3_000)
    assert first_tier.latency == quantiles([200 * MS])
    assert second_tier.series == Series("tier", "answer", "openai:strong", tier=2)
    # The last one is taken whatever its checks say.
    assert (second_tier.count, second_tier.taken) == (1, 1)
    assert second_tier.cost == Money(3_000)
    assert second_tier.latency == quantiles([290 * MS])
