"""Webhooks of real runs, sent to a real server: what is told, signed, tried again, and given up."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hooked import Answer, Hooked
from surefoot import App, flow, step, webhooks
from surefoot.config import load
from surefoot.errors import ConfigError, InvalidInput, StepFailed
from surefoot.ledger import DeliveryRow, Lookout
from surefoot.ledger import deliveries as kept
from surefoot.ledger.opening import tables_of
from surefoot.ledger.retention import Rule, prune
from surefoot.server.hooks import Courier, known_webhook
from surefoot.server.hooks.office import MOST_TRIES, pause
from surefoot.server.hooks.webhook import Webhook
from surefoot.values import RunTags

SECRET = "0123456789abcdef0123456789abcdef"
broken: list[str] = []


@step
def fragile(text: str) -> str:
    if broken:
        raise ValueError(broken[0])
    return text


@flow
def triage(text: str) -> dict[str, str]:
    return {"said": fragile(text)}


@flow
def power(of: int) -> int:
    return 2**of


@flow
def outer(text: str) -> str:
    return triage(text)["said"]


@pytest.fixture(autouse=True)
def _whole() -> None:
    broken.clear()


@pytest.fixture
def server() -> Iterator[Hooked]:
    with Hooked() as server:
        yield server


Opened = Callable[..., tuple[App, Courier]]


@pytest.fixture
def opened(tmp_path: Path, server: Hooked) -> Iterator[Opened]:
    """An app with one webhook, and who tells it; `more` are further settings of it."""
    apps: list[App] = []

    def open_app(
        more: str = "", *, egress: str = 'allow_private = ["127.0.0.1"]', url: str = ""
    ) -> tuple[App, Courier]:
        (tmp_path / "surefoot.toml").write_text(
            f'[ledger]\nsynchronous = "normal"\n[egress]\n{egress}\n'
            f'[webhooks.crm]\nurl = "{url or server.url()}"\nsecret = "${{env:HOOK_SECRET}}"\n{more}\n'
        )
        app = App(load(tmp_path, environ={"HOOK_SECRET": SECRET, "HOOK_PATH": "T0/topsecretpath"}))
        apps.append(app)
        courier = Courier(app)
        courier.deliver()
        return app, courier

    yield open_app
    for app in apps:
        app.close()


def told(server: Hooked) -> list[dict[str, Any]]:
    """What was received, each of it with a signature that fits."""
    for got in server.got:
        webhooks.verify(SECRET, got.headers, got.body)
    return [json.loads(got.body) for got in server.got]


def standing(app: App, run_id: str) -> list[tuple[str, str, int]]:
    rows = [kept.delivery_of(row) for row in app.ledger.ask(kept.told_query("crm", run_id))]
    return [(row.event, row.standing, row.tries) for row in rows]


def test_a_run_is_told_of_once(opened: Opened, server: Hooked) -> None:
    app, courier = opened()
    run = app.submit(triage, {"text": "hello"}, tags=RunTags(tenant="acme"), key="order-7")
    assert courier.deliver() == 0
    app.resume(run.id)
    assert courier.deliver() == 1
    assert courier.deliver() == 0
    [message] = told(server)
    at = message.pop("at")
    assert message == {
        "id": f"{run.id}-2-completed",
        "event": "run.completed",
        "run": run.id,
        "flow": "triage",
        "status": "completed",
        "tenant": "acme",
        "key": "order-7",
    }
    assert at.endswith("Z")
    [got] = server.got
    assert (got.method, got.path, got.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert got.headers["surefoot-id"] == f"{run.id}-2-completed"
    assert standing(app, run.id) == [("run.completed", "delivered", 1)]


def test_each_attempt_is_an_event_of_its_own(opened: Opened, server: Hooked) -> None:
    app, courier = opened("output = true")
    broken.append("no luck")
    with pytest.raises(StepFailed) as failed:
        app.run(triage, {"text": "a"})
    run_id = failed.value.run_id
    # Nobody has looked in between, and still each is told of.
    broken.clear()
    app.resume(run_id)
    assert courier.deliver() == 2
    assert [(one["event"], one["run"]) for one in told(server)] == [
        ("run.failed", run_id),
        ("run.completed", run_id),
    ]
    # Of an attempt that is over, the run's last word is not its own.
    assert "error" not in told(server)[0]
    assert told(server)[1]["output"] == {"said": "a"}


def test_what_came_out_goes_along_only_where_that_is_said(opened: Opened, server: Hooked) -> None:
    app, courier = opened("output = true")
    broken.append(f"the key {SECRET} is refused")
    with pytest.raises(StepFailed):
        app.run(triage, {"text": "a"})
    broken.clear()
    app.run(triage, {"text": f"the key {SECRET} is refused"})
    app.run(triage, {"text": "x" * 300_000})
    courier.deliver()
    failed, done, large = told(server)
    assert failed["error"].startswith("ValueError: the key ")
    assert done["output"]["said"].startswith("the key ")
    assert SECRET not in json.dumps([failed, done])
    assert (large["output"], large["is_output_left_out"]) == (None, True)


def test_what_json_has_no_number_for_goes_along_as_text(opened: Opened, server: Hooked) -> None:
    app, courier = opened("output = true")
    app.run(power, {"of": 70})
    app.run(triage, {"text": "behind it"})
    assert courier.deliver() == 2
    large, done = told(server)
    assert (large["output"], done["output"]) == (str(2**70), {"said": "behind it"})


def test_only_what_was_asked_for(opened: Opened, server: Hooked) -> None:
    app, courier = opened('events = ["run.completed"]\nflows = ["tri*"]\ntenants = ["acme"]')
    app.run(triage, {"text": "a"}, tags=RunTags(tenant="umbrella"))
    app.run(outer, {"text": "a"}, tags=RunTags(tenant="acme"))
    app.run(triage, {"text": "a"}, tags=RunTags(tenant="acme", tags={"experiment": "e1"}))
    broken.append("x")
    with pytest.raises(StepFailed):
        app.run(triage, {"text": "a"}, tags=RunTags(tenant="acme"))
    broken.clear()
    wanted = app.run(triage, {"text": "a"}, tags=RunTags(tenant="acme"))
    assert wanted == {"said": "a"}
    assert courier.deliver() == 1
    assert [(one["flow"], one["tenant"]) for one in told(server)] == [("triage", "acme")]


def test_what_ended_before_the_webhook_was_there_is_not_told(
    opened: Opened, server: Hooked, tmp_path: Path
) -> None:
    with App(load(tmp_path, environ={})).entered() as before:
        before.run(triage, {"text": "old"})
        before.close()
    app, courier = opened()
    assert courier.deliver() == 0
    app.run(triage, {"text": "new"})
    # Whoever comes later begins where the webhook was begun, and not where he came.
    assert Courier(app).deliver() == 1
    assert courier.deliver() == 0


def test_what_fails_is_tried_again_and_the_id_stays(opened: Opened, server: Hooked) -> None:
    app, courier = opened()
    server.answers += [Answer(503, {"retry-after": "3600"}), Answer(500), Answer(302, {"location": "/x"})]
    app.run(triage, {"text": "a"})
    run_id = app.ledger.run("last").id
    for n, least in enumerate([3600, 7, 15], start=1):
        assert courier.deliver() == 1
        [row] = [kept.delivery_of(row) for row in app.ledger.ask(kept.told_query("crm", run_id))]
        assert (row.standing, row.tries) == ("waiting", n)
        assert row.next_ns > time.time_ns() + (least - 5) * 10**9 * 0.7
        assert courier.deliver() == 0
        due_now(app, row)
    assert courier.deliver() == 1
    assert len({got.headers["surefoot-id"] for got in server.got}) == 1
    assert len(server.got) == 4
    assert standing(app, run_id) == [("run.completed", "delivered", 4)]


def due_now(app: App, row: DeliveryRow) -> None:
    from surefoot.ledger import TellDeliveries

    app.ledger.submit(TellDeliveries([kept.settle(row, now_ns=1, again_ns=1, error=row.error)])).result()


def test_what_nobody_wants_any_more_is_given_up(opened: Opened, server: Hooked) -> None:
    app, courier = opened()
    server.answers.append(Answer(410))
    app.run(triage, {"text": "a"})
    courier.deliver()
    run_id = app.ledger.run("last").id
    assert standing(app, run_id) == [("run.completed", "given up", 1)]
    [row] = [kept.delivery_of(row) for row in app.ledger.ask(kept.told_query("crm", run_id))]
    assert "410" in row.error


def test_after_a_day_it_is_given_up() -> None:
    assert [round(pause(n, 0.5)) for n in (1, 2, 3, 12, 21)] == [5, 10, 20, 7200, 7200]
    assert (pause(1, 0.0), pause(1, 1.0)) == (3.75, 6.25)
    assert pause(10**9, 0.5) == 7200
    assert 0.8 < sum(pause(n, 0.5) for n in range(1, MOST_TRIES)) / 86_400 < 1.2


def test_an_address_within_is_not_told(opened: Opened, server: Hooked) -> None:
    app, courier = opened(egress="")
    app.run(triage, {"text": "a"})
    assert courier.deliver() == 1
    run_id = app.ledger.run("last").id
    assert standing(app, run_id) == [("run.completed", "waiting", 1)]
    [row] = [kept.delivery_of(row) for row in app.ledger.ask(kept.told_query("crm", run_id))]
    assert "127.0.0.1 is this machine" in row.error
    assert server.got == []


def test_nothing_secret_is_in_a_log_or_an_error(
    opened: Opened, server: Hooked, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app, courier = opened(
        'timeout = 0.3\nheaders = { Authorization = "Bearer ${env:HOOK_SECRET}" }',
        url=server.url("/services/${env:HOOK_PATH}"),
    )
    server.answers += [Answer(500, {}, SECRET.encode()), Answer(dribble=0.01)]
    for _ in range(3):
        app.run(triage, {"text": "a"})
    courier.deliver()
    assert [got.path for got in server.got] == ["/services/T0/topsecretpath"] * 3
    assert server.got[0].headers["authorization"] == f"Bearer {SECRET}"
    errors = [row[-1] for row in app.ledger.ask(kept.deliveries_query(webhook="crm", standing="waiting"))]
    seen = caplog.text + repr(courier.webhooks) + repr(app.config.webhooks) + str(errors)
    assert "status 500" in seen
    assert SECRET not in seen
    assert "topsecretpath" not in seen


def test_a_pruned_run_is_given_up(opened: Opened, server: Hooked) -> None:
    app, courier = opened()
    from surefoot.ledger import TellDeliveries

    app.ledger.submit(
        TellDeliveries([kept.owe(DeliveryRow("crm", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 1, "run.completed"))])
    ).result()
    assert courier.deliver() == 1
    assert standing(app, "01ARZ3NDEKTSV4RRFFQ69G5FAV") == [("run.completed", "given up", 1)]
    assert server.got == []


def test_an_end_that_becomes_visible_behind_later_ones_is_found(opened: Opened, tmp_path: Path) -> None:
    import sqlite3

    app, _ = opened()
    now = 0.0
    lookout = Lookout(app.ledger, [Webhook("crm", app.config.webhooks["crm"])], clock=lambda: now)
    lookout.look()
    app.run(triage, {"text": "slow"})
    slow = app.ledger.run("last").id
    hidden = sqlite3.connect(tmp_path / ".surefoot" / "ledger.db", isolation_level=None)
    hidden.execute("UPDATE outcomes SET kind = 'later' WHERE kind = 'end' AND run_id = ?", (slow,))
    app.run(triage, {"text": "quick"})
    quick = app.ledger.run("last").id
    assert lookout.look() == 1
    assert (standing(app, slow), len(standing(app, quick))) == ([], 1)
    hidden.execute("UPDATE outcomes SET kind = 'end' WHERE kind = 'later'")
    hidden.close()
    now = 5.0
    assert lookout.look() == 0
    now = 11.0
    assert lookout.look() == 1
    assert len(standing(app, slow)) == 1
    [(mark, *_)] = app.ledger.ask(kept.mark_query("crm"))
    now = 90.0
    assert lookout.look() == 0
    [(later, *_)] = app.ledger.ask(kept.mark_query("crm"))
    assert later > mark
    assert lookout.look() == 0


def test_where_places_are_taken_once_more_no_end_is_missed(opened: Opened) -> None:
    """A file gives the numbers of rows that were pruned to new ones."""
    app, _ = opened()
    now = 0.0

    def look_out() -> Lookout:
        return Lookout(app.ledger, [Webhook("crm", app.config.webhooks["crm"])], clock=lambda: now)

    lookout = look_out()
    lookout.look()

    def run() -> str:
        app.run(triage, {"text": "a"})
        return app.ledger.run("last").id

    def prune_all() -> None:
        with closing(tables_of(app.ledger)) as tables:
            prune(tables, [Rule("runs", time.time_ns() + 10**12)], now_ns=time.time_ns())

    before = [run() for _ in range(5)]
    lookout.look()
    now = 100.0
    lookout.look()
    [(mark, *_)] = app.ledger.ask(kept.mark_query("crm"))
    prune_all()
    after = run()
    assert kept.end_of(app.ledger.ask(kept.ends_query(0, most=1))[0]).seq < mark
    now = 120.0
    lookout.look()
    lookout.look()
    assert standing(app, after) == [("run.completed", "waiting", 0)]
    assert [standing(app, one) for one in before] == [[]] * 5

    # So it is where nobody was up meanwhile, and where one end has the very place of another.
    now = 300.0
    lookout.look()
    prune_all()
    again = run()
    look_out().look()
    assert len(standing(app, again)) == 1


def test_in_the_background_runs_are_told_of_beside_a_server_that_does_not_answer(
    tmp_path: Path, server: Hooked
) -> None:
    with Hooked() as stuck:
        stuck.answers += [Answer(dribble=0.02)] * 50
        (tmp_path / "surefoot.toml").write_text(
            '[ledger]\nsynchronous = "normal"\n[egress]\nallow_private = ["127.0.0.0/8"]\n'
            f'[webhooks.crm]\nurl = "{server.url()}"\nsecret = "${{env:HOOK_SECRET}}"\n'
            f'[webhooks.stuck]\nurl = "{stuck.url()}"\nsecret = "${{env:HOOK_SECRET}}"\ntimeout = 60.0\nat_once = 1\n'
        )
        app = App(load(tmp_path, environ={"HOOK_SECRET": SECRET}))
        courier = Courier(app, every=0.05)
        courier.deliver()
        courier.start()
        for n in range(12):
            app.run(triage, {"text": f"{n}"})
        assert len({one["id"] for one in told_of(server.wait(12))}) == 12
        stuck.wait(1)
        courier.close(wait=0.2)
        app.close()


def told_of(got: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in got]


def test_a_secret_that_is_missing_or_short_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_text(
        '[webhooks.crm]\nurl = "https://hooks.example/"\nsecret = "${env:HOOK_SECRET}"\n'
    )
    for environ, said in [({}, "HOOK_SECRET, which is not set"), ({"HOOK_SECRET": "short"}, "fewer than 16")]:
        app = App(load(tmp_path, environ=environ))
        with pytest.raises(ConfigError, match=said):
            Courier(app)
        app.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('url = "ftp://x"\nsecret = "${env:S}"', "an address such as https"),
        ('url = "https://ann:pw@x.example"\nsecret = "${env:S}"', "names a user or a password"),
        ('url = "https://x.example"\nsecret = "plain text"', "by reference only"),
        ('url = "https://x.example"\nsecret = "${env:S}"\nevents = ["run.begun"]', "'run.begun' is none of"),
        ('url = "https://x.example"\nsecret = "${env:S}"\nheaders = { Host = "y" }', "no name of a header"),
        (
            'url = "https://x.example"\nsecret = "${env:S}"\nheaders = { Surefoot-Id = "y" }',
            "no name of a header",
        ),
        ('url = "https://x.example"\nsecret = "${env:S}"\nheaders = { X-Token = "y" }', "holds a credential"),
    ],
)
def test_what_a_webhook_may_not_say(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "surefoot.toml").write_text(f"[webhooks.crm]\n{text}\n")
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, environ={})


@pytest.mark.parametrize("rule", ["https://x.example", "10.0.0.0/99", ""])
def test_what_is_no_rule_of_egress(tmp_path: Path, rule: str) -> None:
    (tmp_path / "surefoot.toml").write_text(f'[egress]\nallow_private = ["{rule}"]\n')
    with pytest.raises(ConfigError, match="no host, address or network"):
        load(tmp_path, environ={})


def test_an_unknown_webhook_is_told_with_those_that_there_are() -> None:
    assert known_webhook(["erp", "crm"], "crm") == "crm"
    with pytest.raises(InvalidInput, match="there is no webhook 'crn'; there are: crm, erp"):
        known_webhook(["erp", "crm"], "crn")
