"""The bounded queue, workers that keep nothing of each other, recovery, and a server that stops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

import served_flows
from serving import HOST, api_at, until
from surefoot import App, flow, step
from surefoot import flows as running
from surefoot.access import LOCAL
from surefoot.config import load
from surefoot.errors import UsageError
from surefoot.ledger import Owner, TakeOver, lease_of
from surefoot.server.served import Served, ServedFlow
from surefoot.server.working.executor import Executor, Unavailable
from surefoot.server.working.figures import Figures
from surefoot.server.working.job import Job
from surefoot.server.working.runs import Order, Runs
from surefoot.values import RunTags

FLOWS = Path(served_flows.__file__)
mark: ContextVar[str] = ContextVar("mark", default="clean")


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    served_flows.gate.clear()
    served_flows.made.clear()
    while served_flows.began.acquire(blocking=False):
        pass
    yield
    served_flows.gate.set()


@flow
def leaves_a_mark() -> str:
    before = mark.get()
    mark.set("dirty")
    return before


@flow
async def leaves_a_mark_async() -> str:
    before = mark.get()
    mark.set("dirty")
    return before


@flow
def leaves() -> str:
    raise SystemExit(3)


@flow
async def holds_on() -> str:
    await held_on()
    return "held"


@step
async def held_on() -> str:
    served_flows.began.release()
    await asyncio.sleep(60)
    return "held on"


OWN = Served(
    [ServedFlow(*running.find_spec(one)) for one in (leaves_a_mark, leaves_a_mark_async, leaves, holds_on)]
)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Runs]:
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "SUREFOOT_SERVE_WORKERS": "1"}
    app = App(load(tmp_path, environ=environ))
    executor = Executor(app, app.config.serve, Figures())
    executor.start()
    try:
        yield Runs(executor, OWN)
    finally:
        executor.close(grace=0)
        app.close()


def order(name: str) -> Order:
    return Order(LOCAL, OWN[name], {}, RunTags())


def over(job: Job) -> Any:
    return until(lambda: job.ended)


@pytest.mark.parametrize("name", ["leaves_a_mark", "leaves_a_mark_async"])
def test_what_a_flow_sets_in_its_context_is_none_of_the_next_ones(own: Runs, name: str) -> None:
    assert [over(own.begin(order(name))).output for _ in range(3)] == ["clean"] * 3


def test_a_flow_that_exits_ends_no_worker(own: Runs) -> None:
    ended = over(own.begin(order("leaves")))
    assert (ended.how, type(ended.error)) == ("failed", SystemExit)
    assert over(own.begin(order("leaves_a_mark"))).how == "completed"


def test_a_full_queue_refuses_before_anything_is_recorded(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, workers=1, queue=2, grace=0, look=60) as (client, api, app):
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask, client, f"r{n}") for n in range(6)]
            until(lambda: sum(one.done() for one in asking) == 3, what="three refused")
            refused = [one.result() for one in asking if one.done()]
            assert {one.status_code for one in refused} == {503}
            assert {one.json()["type"] for one in refused} == {"urn:surefoot:problem:server-full"}
            assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
            assert client.get("/readyz").status_code == 503
            batch = {"runs": [{"inputs": {"n": 1}}] * 2}
            assert client.post("/flows/twice/batches", json=batch).status_code == 503
            assert client.post("/flows/twice/runs?wait=0", json={"inputs": {"n": 1}}).status_code == 503
            assert served_flows.began.acquire(timeout=60)
            assert len(app.ledger.runs()) == 1
            served_flows.gate.set()
            assert sorted(one.result().status_code for one in asking) == [200] * 3 + [503] * 3
        assert api.executor.queued == api.executor.active == 0
        assert client.get("/readyz").status_code == 200


def ask(client: TestClient, name: str, query: str = "") -> Any:
    return client.post(f"/flows/held/runs{query}", json={"inputs": {"name": name}})


def test_a_run_that_nobody_had_time_for_is_recorded_before_202(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, workers=1, look=60) as (client, _, app):
        first = ask(client, "first", "?wait=0")
        served_flows.began.acquire(timeout=60)
        second = ask(client, "second", "?wait=0.1")
        assert (second.status_code, second.json()["status"]) == (202, "pending")
        assert app.ledger.run(second.json()["id"]).status == "pending"
        served_flows.gate.set()
        for one in (first, second):
            until(lambda one=one: app.ledger.run(one.json()["id"]).status == "completed")
    assert served_flows.made == ["first", "second"]


def test_what_a_server_leaves_the_next_one_makes(tmp_path: Path) -> None:
    """It is told to stop with a run under way and others accepted: each is made once, by whoever comes next."""
    with api_at(tmp_path, FLOWS, workers=1, look=60) as (client, api, app):
        accepted = [ask(client, f"r{n}", "?wait=0").json()["id"] for n in range(3)]
        served_flows.began.acquire(timeout=60)
        threading.Timer(0.3, served_flows.gate.set).start()
        api.close(grace=0)
        left = {run: app.ledger.run(run).status for run in accepted}
        assert set(left.values()) <= {"pending", "running"}
        assert client.get("/readyz").status_code == 503
    with api_at(tmp_path, FLOWS, look=0.1) as (client, _, app):
        for run in accepted:
            until(lambda run=run: app.ledger.run(run).status == "completed", what=run)
        assert len(app.ledger.runs(flow="held")) == 3
    steps = [served_flows.made.count(f"r{n}") for n in range(3)]
    # The body of the flow under way is begun anew; those that waited had not begun.
    assert steps[0] >= 1
    assert steps[1:] == [1, 1]


def test_async_runs_are_handed_over_where_they_wait(own: Runs) -> None:
    job = own.begin(order("holds_on"))
    served_flows.began.acquire(timeout=60)
    app = own.executor.app
    own.executor.close(grace=0)
    assert over(job).how == "handed over"
    record = app.ledger.run(job.run_id)
    assert (record.status, record.lease_until_ns) == ("running", 0)


def test_a_drained_server_answers_who_waits(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, workers=1, look=60) as (client, api, app), ThreadPoolExecutor(3) as pool:
        under_way = pool.submit(ask, client, "under way")
        served_flows.began.acquire(timeout=60)
        waiting = pool.submit(ask, client, "waiting")
        until(lambda: api.executor.queued == 1)
        api.executor.drain()
        refused = waiting.result(60)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:surefoot:problem:server-draining")
        served_flows.gate.set()
        assert under_way.result(60).json()["output"] == "under way finished"
        assert len(app.ledger.runs()) == 1


def test_a_run_that_another_server_has_is_left(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, is_started=False) as (_, api, app):
        with app.entered():
            run = app.submit(served_flows.twice, {"n": 1})
        # Somebody on another host, of whom nobody here knows whether he is gone.
        other = Owner("elsewhere", "boot", 1, "1")
        app.ledger.submit(TakeOver(run.id, other, lease_of(600))).result()
        assert api.recovery.look(is_first=True) == 0
        app.ledger.submit(TakeOver(run.id, other, lease_of(0))).result()
        assert api.recovery.look() == 1


def test_a_run_that_was_just_accepted_is_its_servers(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, is_started=False) as (_, api, app):
        with app.entered():
            app.submit(served_flows.twice, {"n": 1})
        assert api.recovery.look() == 0
        assert api.recovery.look(is_first=True) == 1
        # It waits for a worker now, and is not taken in twice.
        assert api.recovery.look(is_first=True) == 0
        assert api.executor.queued == 1


def test_a_run_that_ends_its_process_again_and_again_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with api_at(tmp_path, FLOWS, is_started=False) as (_, api, app):
        with app.entered():
            run = app.submit(served_flows.twice, {"n": 1})
        for _ in range(5):
            begun_and_gone(app, run.id)
        assert api.recovery.look() == 0
        assert "ended its process each time" in caplog.text
        caplog.clear()
        assert api.recovery.look() == 0
        assert caplog.text == ""


def begun_and_gone(app: App, run_id: str) -> None:
    """Somebody takes a run over, writes that it begins, and is gone."""

    def make(inputs: Any, init: Any) -> running.Target:
        found, spec = running.find_spec(served_flows.twice)
        target = running.target_of(found, spec, inputs, init=init, make_client=app.client)

        def crash() -> None:
            raise KeyboardInterrupt

        return running.Target(spec, crash, target.inputs)

    with app.entered(), pytest.raises(KeyboardInterrupt):
        running.drive(running.resume(app.ledger.run(run_id), make, running.Options()))


def test_an_event_of_another_name_wakes_a_run_once(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, park=0.05, look=60) as (client, api, app):
        run_id = client.post("/flows/asks/runs?wait=0", json={"inputs": {"what": "x"}}).json()["id"]
        until(lambda: app.ledger.run(run_id).status == "waiting")
        client.post(f"/runs/{run_id}/events/other", json={"value": 1})
        until(lambda: app.ledger.run(run_id).epoch >= 3)
        until(lambda: app.ledger.run(run_id).status == "waiting")
        woken = app.ledger.run(run_id).epoch
        assert api.recovery.look() == 0
        time.sleep(0.2)
        assert app.ledger.run(run_id).epoch == woken
        client.post(f"/runs/{run_id}/events/answer", json={"value": 2})
        until(lambda: app.ledger.run(run_id).status == "completed")


def test_an_event_that_comes_as_a_run_is_parked_is_not_lost(tmp_path: Path) -> None:
    """The ledger says that it waits while its job is not over here yet: the letter is unread until it is taken in."""
    with api_at(tmp_path, FLOWS, is_started=False) as (_, api, app):
        found, spec = running.find_spec(served_flows.asks)
        target = running.target_of(found, spec, {"what": "x"}, init={}, make_client=app.client)
        with app.entered(), pytest.raises(running.Suspended):
            running.drive(running.begin(target, running.Options(parks=0.05)))
        run = app.ledger.run("last")
        # Taken in, and not made: so it stands between the moment it is parked and the end of its job.
        job = api.recovery.runs.go_on(run)
        app.send(run.id, "answer", "y")
        assert api.recovery.look() == 0
        api.executor.withdraw(job)
        assert api.recovery.look() == 1


def test_a_run_that_cannot_be_cancelled_keeps_none_of_the_others_from_going_on(tmp_path: Path) -> None:
    """It is switched off while it waits, and what it has done cannot be undone."""
    with api_at(tmp_path, FLOWS, park=0.05, look=0.1) as (client, _, app):
        stuck, other = (
            client.post(f"/flows/{name}/runs?wait=0", json={"inputs": inputs}).json()["id"]
            for name, inputs in (("lasts", {"n": 1}), ("asks", {"what": "b"}))
        )
        for run_id in (stuck, other):
            until(lambda run_id=run_id: app.ledger.run(run_id).status == "waiting", what="it is parked")
        app.access.switches.off("flow:lasts", by=LOCAL, organisation="", reason="broken")
        for run_id in (stuck, other):
            assert client.post(f"/runs/{run_id}/events/answer", json={"value": "yes"}).status_code == 202
        until(lambda: app.ledger.run(other).status == "completed", what="the other one goes on")


def test_two_flows_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}_served.py").write_text(
            "from surefoot import flow\n\n@flow\ndef same(n: int) -> int:\n    return n\n"
        )
    with pytest.raises(UsageError, match="two flows are called 'same'"):
        Served.load([str(tmp_path)])
    assert list(Served.load([str(tmp_path / "one_served.py")])) == ["same"]
    assert list(Served.load([str(tmp_path / "one_served.py:same")])) == ["same"]


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "flows", tmp_path / "outside"
    for folder in (inside, outside, inside / "tests", inside / ".hidden"):
        folder.mkdir()
    text = "from surefoot import flow\n\n@flow\ndef {name}(n: int) -> int:\n    return n\n"
    (inside / "linked_a.py").write_text(text.format(name="a"))
    (outside / "linked_b.py").write_text(text.format(name="b"))
    (inside / "tests" / "linked_c.py").write_text(text.format(name="c"))
    (inside / ".hidden" / "linked_d.py").write_text(text.format(name="d"))
    (inside / "linked_b.py").symlink_to(outside / "linked_b.py")
    assert list(Served.load([str(inside)])) == ["a"]
    (inside / "linked_a.py").unlink()
    with pytest.raises(UsageError, match="holds no flows"):
        Served.load([str(inside)])


def test_places_are_kept_for_who_has_asked_first(own: Runs) -> None:
    queue = own.executor.settings.queue
    with pytest.raises(Unavailable), own.executor.places(queue + 1):
        pass
    with own.executor.places(queue):
        assert own.executor.room == 0
        with pytest.raises(Unavailable), own.executor.places():
            pass
        with pytest.raises(Unavailable):
            own.begin(order("leaves_a_mark"))
    assert own.executor.room == queue


def test_batches_that_come_at_once_do_not_fill_more_than_the_queue(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, workers=1, queue=10, look=60) as (client, api, app):
        held = client.post("/flows/held/runs?wait=0", json={"inputs": {"name": "first"}})
        served_flows.began.acquire(timeout=60)

        async def at_once() -> list[int]:
            transport = httpx.ASGITransport(api.asgi)
            batch = {"runs": [{"inputs": {"n": 1}}] * 4}
            async with httpx.AsyncClient(transport=transport, base_url=HOST) as several:
                asking = (several.post("/flows/twice/batches", json=batch) for _ in range(8))
                return [answer.status_code for answer in await asyncio.gather(*asking)]

        assert sorted(asyncio.run(at_once())) == [202] * 2 + [503] * 6
        assert (api.executor.queued, len(app.ledger.runs())) == (8, 9)
        served_flows.gate.set()
        assert held.status_code == 202


def test_a_batch_that_never_fits_is_not_told_to_come_again(tmp_path: Path) -> None:
    with api_at(tmp_path, FLOWS, queue=2) as (client, _, _app):
        answer = client.post("/flows/twice/batches", json={"runs": [{"inputs": {"n": 1}}] * 3})
        assert (answer.status_code, answer.json()["detail"]) == (400, "runs is no list of at most 2")


def test_who_waits_for_a_run_that_was_accepted_meanwhile_is_told_so(tmp_path: Path) -> None:
    """Two ask under one key while no worker is free; the first of them has waited long enough."""
    with api_at(tmp_path, FLOWS, workers=1, look=60) as (client, api, _), ThreadPoolExecutor(4) as pool:
        pool.submit(ask, client, "first")
        served_flows.began.acquire(timeout=60)
        one = pool.submit(ask_under, client, "?wait=0.3")
        until(lambda: api.executor.queued == 1)
        other = pool.submit(ask_under, client, "?wait=0.6")
        events = pool.submit(ask_under, client, "", accept="text/event-stream")
        assert one.result(60).status_code == other.result(60).status_code == 202
        assert one.result().json()["id"] == other.result().json()["id"]
        served_flows.gate.set()
        assert "event: end" in events.result(60).text


def ask_under(client: TestClient, query: str, **headers: str) -> Any:
    named = {"idempotency-key": "K", **headers}
    return client.post(f"/flows/held/runs{query}", json={"inputs": {"name": "kept"}}, headers=named)
