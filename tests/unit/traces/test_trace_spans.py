"""The tree of a run, read from a real ledger."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from surefoot import App, flow, step
from surefoot.config import load
from surefoot.errors import StepFailed, UnknownRun
from surefoot.ledger import Detail, Note, Owner, StartRun, Totals, encode, this_process
from surefoot.scope import Ending, Work, current
from surefoot.traces import standing, trace
from surefoot.values import CallFacts, Money, RunTags, Usage

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(load(tmp_path, environ={}))
    yield app
    app.close()


def model_call(prompt: str, usage: Usage, cost: Money | None) -> str:
    """A call as the hook under an SDK client records one."""
    scope = current()
    assert scope is not None
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "temperature": 0.5}
    claim = scope.claim(
        Work("call", "openai.chat", {"path": "chat/completions", "body": body}, requested_model="m")
    )
    if claim.recorded is None:
        answer = '{"choices": [{"message": {"content": "said"}, "finish_reason": "stop"}]}'
        record = {"status": 200, "headers": {}, "body": answer, "is_stream": False, "is_closed_early": False}
        claim.finish(Ending("completed", record, call=CallFacts("p", "m", "m-1", usage, cost))).wait()
    return "said"


@step
def inner(n: int) -> int:
    model_call(f"inner {n}", Usage(10 * n, n, 5, 2), Money(100 * n))
    return n


@step
def outer(n: int) -> list[int]:
    return [inner(n), inner(n + 1)]


@flow(name="tree", version="3")
def tree(n: int) -> dict[str, object]:
    done = outer(n)
    model_call("last", Usage(7, 0, 1), None)
    return {"answer": "fine", "done": done}


tries: list[int] = []


@step(retries=1)
def flaky(n: int) -> int:
    tries.append(n)
    if len(tries) < 2:
        model_call("before the failure", Usage(1, 0, 1), Money(1))
        raise ValueError("not yet")
    return n


@flow
def retried(n: int) -> int:
    tries.clear()
    return flaky(n)


@flow
def broken(n: int) -> int:
    try:
        return outer(n)[9]
    except IndexError as error:
        raise RuntimeError("out of range") from error


def last(app: App) -> str:
    return app.ledger.run("last").id


def test_the_tree_is_nested_as_the_flow_is(app: App) -> None:
    app.run(tree, {"n": 1})
    found = trace(app.ledger, "last")
    assert [(span.name, span.kind) for span in found.spans] == [("outer", "step"), ("openai.chat", "call")]
    assert [child.name for child in found.spans[0].children] == ["inner", "inner"]
    assert [span.name for span in found.walk()] == [
        *("outer", "inner", "openai.chat", "inner", "openai.chat", "openai.chat")
    ]
    outer_span = found.spans[0]
    assert outer_span.parent == found.run.id
    assert {child.parent for child in outer_span.children} == {outer_span.id}
    assert len({span.id for span in found.walk()}) == 6


def test_the_totals_of_the_run_are_the_sum_of_its_calls_and_of_its_subtrees(app: App) -> None:
    app.run(tree, {"n": 1})
    found = trace(app.ledger, "last")
    calls = [span.call.facts for span in found.walk() if span.call is not None]
    assert sum((facts.usage for facts in calls), Usage()) == found.totals.usage == Usage(37, 3, 11, 4)
    assert sum((facts.cost for facts in calls if facts.cost), Money()) == found.totals.cost == Money(300)
    assert found.totals.calls == len(calls) == 3
    assert sum((span.totals for span in found.spans), Totals()) == found.totals
    assert found.run.totals == found.totals
    assert not found.totals.is_cost_complete
    outer_span, call = found.spans
    assert outer_span.totals == Totals(3, 2, Usage(30, 3, 10, 4), Money(300))
    assert outer_span.totals == sum((child.totals for child in outer_span.children), Totals(steps=1))
    assert not call.totals.is_cost_complete


def test_inputs_outputs_and_the_call_are_data(app: App) -> None:
    app.run(tree, {"n": 1}, tags=RunTags("acme", "ann", "chat-1", {"a": "b"}))
    found = trace(app.ledger, "last")
    assert (dict(found.inputs), found.output) == ({"n": 1}, {"answer": "fine", "done": [1, 2]})
    assert (found.spans[0].inputs, found.spans[0].output) == ({"n": 1}, [1, 2])
    call = found.spans[1].call
    assert call is not None
    assert call.parameters == {"temperature": 0.5}
    assert (call.said.text, call.messages[0].text) == ("said", "last")
    assert (found.run.tenant, found.run.flow_version) == ("acme", "3")
    assert found.chain_break is None
    assert found.rows == 8


def test_each_attempt_is_a_span_with_what_happened_in_it(app: App) -> None:
    app.run(retried, {"n": 4})
    first, second = trace(app.ledger, "last").spans
    assert (first.attempt, first.status, first.is_tried_again) == (1, "failed", True)
    assert str(first.failure) == "ValueError: not yet"
    assert first.output is None
    assert [child.name for child in first.children] == ["openai.chat"]
    assert (second.attempt, second.status, second.output, second.children) == (2, "completed", 4, ())
    assert first.id.partition(".")[0] == second.id.partition(".")[0]


def test_a_failed_run_tells_its_failure_and_cause(app: App) -> None:
    with pytest.raises(StepFailed):
        app.run(broken, {"n": 1})
    found = trace(app.ledger, "last")
    assert str(found.failure) == "RuntimeError: out of range"
    assert found.failure is not None
    assert str(found.failure.cause) == "IndexError: list index out of range"
    assert found.output is None
    assert [attempt.status for attempt in found.attempts] == ["failed"]


def test_a_resumed_run_has_an_attempt_for_each_process(app: App) -> None:
    for _ in range(2):
        with pytest.raises(StepFailed):
            app.run(broken, {"n": 1}) if not app.ledger.runs() else app.resume("last", flow=broken)
    attempts = trace(app.ledger, "last").attempts
    assert [(attempt.epoch, attempt.status) for attempt in attempts] == [(1, "failed"), (2, "failed")]


def test_a_secret_is_not_shown(app: App) -> None:
    secret = "sk-proj-" + "a1B2" * 8

    @step
    def tell(text: str) -> str:
        return text

    @flow
    def leaky(text: str) -> str:
        return tell(text)

    app.run(leaky, {"text": f"my key is {secret}"})
    found = trace(app.ledger, "last")
    assert secret not in repr([found, found.inputs, found.output, [span.inputs for span in found.walk()]])
    assert found.spans[0].output == "my key is [secret]"


def begun(app: App, *, owner: Owner | None) -> str:
    """A run that has begun and whose process is `owner`; nothing inside of it has ended."""
    app.run(tree, {"n": 1})
    ended = app.ledger.run("last")
    start = app.ledger.history(ended.id)[0].outcome
    run_id = ended.id[:-1] + ("0" if ended.id[-1] != "0" else "1")
    now_ns = time.time_ns()
    run = replace(
        ended, id=run_id, status="running", ended_ns=None, owner=owner, lease_until_ns=now_ns + HOUR_NS
    )
    app.ledger.submit(StartRun(run, replace(start, run_id=run_id), [])).wait()
    return run_id


def test_steps_that_have_begun_are_in_the_tree(app: App) -> None:
    run_id = begun(app, owner=this_process())
    outer_key, inner_key = b"o" * 16, b"i" * 16
    details = [
        Detail(run_id, outer_key, 1, "started", 10, encode({"name": "outer", "kind": "step", "path": ""})),
        Detail(
            run_id,
            inner_key,
            1,
            "started",
            20,
            encode({"name": "chat", "kind": "call", "path": outer_key.hex()}),
        ),
    ]
    app.ledger.submit(Note(details)).wait()
    found = trace(app.ledger, run_id)
    [span] = found.spans
    assert (span.name, span.status, span.ended_ns, span.latency_ns) == ("outer", "running", None, None)
    assert [(child.name, child.kind) for child in span.children] == [("chat", "call")]
    assert found.attempts[0].ended_ns is None


def test_what_ended_inside_of_a_step_that_did_not_end_is_kept_in_its_place(app: App) -> None:
    app.run(tree, {"n": 1})
    run_id = last(app)
    with sqlite3.connect(app.ledger.path) as connection:
        # What a crash leaves: the rows of `outer` and of both `inner` were never written.
        connection.execute("DELETE FROM outcomes WHERE kind = 'step'")
    connection.close()
    found = trace(app.ledger, run_id)
    unseen, call = found.spans
    assert (unseen.name, unseen.status, call.name) == ("", "running", "openai.chat")
    assert [[grandchild.name for grandchild in child.children] for child in unseen.children] == [
        ["openai.chat"]
    ] * 2
    assert sum((span.totals for span in found.spans), Totals()) == found.totals
    assert found.chain_break is not None
    unlooked = trace(app.ledger, "last", verify=False)
    assert replace(found, chain_break=None) == unlooked


def test_a_run_whose_process_is_gone_is_abandoned_at_once(app: App) -> None:
    here = this_process()
    now_ns = time.time_ns()
    alive = app.ledger.run(begun(app, owner=here))
    assert standing(alive, now_ns) == "running"
    assert standing(replace(alive, owner=replace(here, started="another time")), now_ns) == "abandoned"
    assert standing(replace(alive, owner=replace(here, host="elsewhere")), now_ns) == "running"
    assert (
        standing(replace(alive, owner=replace(here, host="elsewhere"), lease_until_ns=now_ns - 1), now_ns)
        == "abandoned"
    )
    assert standing(replace(alive, status="failed", owner=replace(here, started="x")), now_ns) == "failed"


def test_an_unknown_run_is_an_error(app: App) -> None:
    with pytest.raises(UnknownRun):
        trace(app.ledger, "last")
