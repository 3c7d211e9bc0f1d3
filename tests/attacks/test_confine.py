"""Flows that reach for what they were not granted: refused where they use it, told in the audit, and ended by it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from confined import ANN, EDDA, OLAF, denials, dies, digest_of, peopled, publish, run_dying
from durable import history, open_app
from forking import processes
from surefoot import App, Call, Prompty, flow, flows, generate, scripted, step
from surefoot.access import LOCAL, Principal
from surefoot.errors import AccessDenied, InvalidInput, LedgerCorrupt, StepFailed
from surefoot.values import Message, RunTags
from wire import Fault, WireServer

MAIN, BILLING = "sk-main-0123456789abcdef", "sk-billing-0123456789abcdef"


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer() as wire:
        yield wire


@pytest.fixture
def app(tmp_path: Path, wire: WireServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A project with a connection of this flow's, `main`, and one of another's, `billing`, at the same server."""
    (tmp_path / "surefoot.toml").write_text(
        "".join(
            f'[connections.{name}]\nprovider = "openai"\nbase_url = "{wire.openai_url}"\n'
            f'api_key = "${{file:{name}.key}}"\n'
            for name in ("main", "billing")
        )
        + '[databases.orders]\nurl = "sqlite:///orders.db"\n[databases.ledgers]\nurl = "sqlite:///ledgers.db"\n',
        encoding="utf-8",
    )
    (tmp_path / "main.key").write_text(MAIN)
    (tmp_path / "billing.key").write_text(BILLING)
    monkeypatch.chdir(tmp_path)
    app = open_app(tmp_path)
    try:
        with app.entered():
            yield peopled(app)
    finally:
        app.close()


def as_ann(app: App, run: Any, **inputs: object) -> object:
    with app.acting(ANN):
        return app.run(run, inputs)


def refused(app: App, run: Any, resource: str, **inputs: object) -> AccessDenied:
    """The refusal of a run, which is recorded, in the run and in the audit, and after which nothing was sent."""
    before = len(denials(app))
    with pytest.raises(StepFailed) as raised:
        as_ann(app, run, **inputs)
    cause: BaseException | None = raised.value
    while cause is not None and not isinstance(cause, AccessDenied):
        cause = cause.__cause__
    assert cause is not None
    account = f"service:flow/{run.spec.name}@{digest_of(run)[:8]}"
    record = app.ledger.run("last")
    [row] = denials(app)[before:]
    assert (row.who, row.resource, row.decision) == (
        account,
        f"acme/{app.access.project}/{resource}",
        "denied",
    )
    assert row.request_id in ("", record.id)
    assert (record.status, record.tags["confined"]) == ("failed", account)
    assert app.access.audit.verify() > 0
    return cause


@flow(uses=("connection:main",))
def asks(model: str) -> str:
    return generate.sync([Message("user", "Say something.")], using=model)


@flow(uses=("connection:main", "tool:look_up"))
def asks_with_tool(model: str) -> str:
    @step
    def look_up(model: str) -> str:
        return generate.sync([Message("user", "Say something else.")], using=model)

    with scripted([scripted.calls("look_up", model=model), "said", "done"]):
        return generate.sync([Message("user", "Look it up.")], using=Call("main:gpt-4o", tools=[look_up]))


@flow(uses=("connection:main",))
def catches(model: str) -> str:
    try:
        return generate.sync([Message("user", "Say something.")], using=model)
    except AccessDenied:
        return generate.sync([Message("user", "Say something.")], using="main:gpt-4o")


def test_rbac_03_a_flow_asks_over_its_own_connection_alone(app: App, wire: WireServer) -> None:
    publish(app, asks)
    assert as_ann(app, asks, model="main:gpt-4o")
    [call] = wire.received
    assert call.headers["authorization"] == f"Bearer {MAIN}"
    denied = refused(app, asks, "connection:billing", model="billing:gpt-4o")
    assert "uses= of flow asks" in str(denied)
    assert wire.count() == 1


def test_rbac_03_a_name_that_comes_from_a_prompt_file_is_held_to_it_too(
    app: App, wire: WireServer, tmp_path: Path
) -> None:
    (tmp_path / "bill.prompty").write_text(
        "---\nname: bill\nmodel:\n  id: billing:gpt-4o\n---\nuser:\nSay {{ word }}.\n", encoding="utf-8"
    )
    publish(app, by_prompt)
    refused(app, by_prompt, "connection:billing", file=str(tmp_path / "bill.prompty"))
    assert wire.count() == 0


@flow(uses=("connection:main",), trusted=True)
def by_prompt(file: str) -> str:
    return generate.sync(Prompty.load(file), word="hello")


def test_rbac_03_a_prompt_file_that_names_the_key_of_another_connection_is_refused(
    app: App, wire: WireServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bill.prompty").write_text(
        "---\nname: bill\nmodel:\n  id: gpt-4o\n  provider: openai\n  connection:\n    kind: key\n"
        f"    endpoint: {wire.openai_url}\n    apiKey: ${{env:BILLS}}\n---\nuser:\nSay {{{{ word }}}}.\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("BILLS", BILLING)
    publish(app, by_prompt)
    with pytest.raises(StepFailed) as raised:
        as_ann(app, by_prompt, file=str(tmp_path / "bill.prompty"))
    assert wire.count() == 0, raised.value


def test_rbac_03_and_rbac_06_a_tool_that_a_model_calls_reaches_no_connection_of_another_flow(
    app: App, wire: WireServer
) -> None:
    publish(app, asks_with_tool)
    refused(app, asks_with_tool, "connection:billing", model="billing:gpt-4o")
    assert wire.count() == 0


def test_rbac_03_a_flow_that_catches_the_refusal_does_not_go_on(app: App, wire: WireServer) -> None:
    publish(app, catches)
    refused(app, catches, "connection:billing", model="billing:gpt-4o")
    assert wire.count() == 0


@flow(uses=("connection:main",))
def over_a_client(key: str, path: str) -> str | None:
    with openai.OpenAI(base_url=path, api_key=key, max_retries=0) as client:
        said = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
    return said.choices[0].message.content


def test_rbac_06_an_sdk_client_with_the_key_of_another_connection_is_refused(
    app: App, wire: WireServer
) -> None:
    publish(app, over_a_client)
    assert as_ann(app, over_a_client, key=MAIN, path=wire.openai_url)
    refused(app, over_a_client, "connection:billing", key=BILLING, path=wire.openai_url)
    assert wire.count() == 1


def test_rbac_06_an_sdk_client_at_an_undeclared_host_is_refused(app: App, wire: WireServer) -> None:
    publish(app, over_a_client)
    other = wire.openai_url.replace("127.0.0.1", "localhost")
    refused(app, over_a_client, "host:localhost", key=MAIN, path=other)
    assert wire.count() == 0


@flow(uses=("model:main:gpt-4o-mini", "connection:main"))
def asks_the_small_one(model: str) -> str:
    return asyncio.run(anew(model))


async def anew(model: str) -> str:
    return await generate([Message("user", "Say something.")], using=model)


def test_rbac_03_where_a_model_is_named_no_other_is_asked_over_its_connection(
    app: App, wire: WireServer
) -> None:
    publish(app, asks_the_small_one)
    assert as_ann(app, asks_the_small_one, model="main:gpt-4o-mini")
    refused(app, asks_the_small_one, "model:main:gpt-4o", model="main:gpt-4o")
    assert wire.count() == 1


@step(transaction="orders")
def order(connection: sqlite3.Connection, what: str) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS orders (what TEXT)")
    connection.execute("INSERT INTO orders VALUES (?)", (what,))


@step(transaction="ledgers")
def enter(connection: sqlite3.Connection, what: str) -> None:
    connection.execute("CREATE TABLE ledgers (what TEXT)")


@step(sends="mail")
def send_mail(to: str) -> None:
    sent.append(to)


@step(sends=("mail", "crm"))
async def send_all(to: str) -> None:
    sent.append(to)


sent: list[str] = []


@flow(uses=("connection:orders", "tool:mail"))
def orders(what: str) -> None:
    order(what)
    if what == "enter":
        enter("it")
    if what == "mail":
        send_mail("ann@x.example")
    if what == "tool":
        with scripted(["done"]):
            generate.sync([Message("user", "Look.")], using=Call(tools=[send_mail]))


@flow(uses=("model:*:gpt-4o",))
def asks_and_enters() -> None:
    enter("it")


@flow(uses=("tool:mail",))
async def sends_to_all() -> None:
    await send_all("ann@x.example")


def test_rbac_06_steps_reach_the_databases_and_tools_that_their_flow_names(app: App, tmp_path: Path) -> None:
    sent.clear()
    publish(app, orders, sends_to_all)
    assert as_ann(app, orders, what="mail") is None
    assert sent == ["ann@x.example"]
    refused(app, orders, "connection:ledgers", what="enter")
    assert not (tmp_path / "ledgers.db").exists()
    refused(app, orders, "tool:send_mail", what="tool")
    refused(app, sends_to_all, "tool:crm")
    assert sent == ["ann@x.example"]


def test_rbac_06_whoever_names_a_model_has_named_no_database(app: App, tmp_path: Path) -> None:
    publish(app, asks_and_enters)
    refused(app, asks_and_enters, "connection:ledgers")
    assert not (tmp_path / "ledgers.db").exists()


# Flows that call flows


@flow(uses=("connection:main", "connection:billing"))
def wide(model: str) -> str:
    return generate.sync([Message("user", "Say something.")], using=model)


@flow(uses=("connection:main", "flow:wide"))
def calls_it(model: str) -> str:
    return wide(model)


@flow(uses=("connection:main", "flow:wide"))
def runs_it(model: str) -> object:
    return App.current().run(wide, {"model": model})


@flow(uses=("connection:main", "flow:wide"))
def submits_it(model: str) -> str:
    return (
        App.current().submit(wide, {"model": model}, tags=RunTags(tenant="umbrella", principal="user:eve")).id
    )


@flow(uses=("connection:main",))
def names_no_other(model: str) -> str:
    return wide(model)


@flow(uses=("connection:main",))
def submits_no_other(model: str) -> str:
    return App.current().submit(wide, {"model": model}).id


@flow(uses=("connection:main",))
def runs_no_other(model: str) -> object:
    return App.current().run(wide, {"model": model})


@flow(uses=("connection:main",))
def resumes_no_other(model: str) -> object:
    return App.current().resume(model)


@flow(uses=("connection:main", "connection:billing", "flow:asks"))
def calls_a_narrow_one(model: str) -> str:
    return asks(model)


def test_rbac_05_a_flow_gets_nothing_from_one_with_more_rights_that_it_calls(
    app: App, wire: WireServer
) -> None:
    publish(app, wide, calls_it, runs_it)
    assert as_ann(app, wide, model="billing:gpt-4o")
    for deputy in (calls_it, runs_it):
        assert as_ann(app, deputy, model="main:gpt-4o")
    refused(app, calls_it, "connection:billing", model="billing:gpt-4o")
    before = len(denials(app))
    with pytest.raises(StepFailed):
        as_ann(app, runs_it, model="billing:gpt-4o")
    [row] = denials(app)[before:]
    assert row.who == f"service:flow/wide@{digest_of(wide)[:8]}"
    assert wire.count() == 3


def test_rbac_05_a_flow_with_more_rights_lends_them_to_none_that_it_calls(app: App, wire: WireServer) -> None:
    publish(app, calls_a_narrow_one)
    assert as_ann(app, calls_a_narrow_one, model="main:gpt-4o")
    refused(app, calls_a_narrow_one, "connection:billing", model="billing:gpt-4o")
    assert wire.count() == 1


def test_rbac_05_a_flow_that_is_not_named_is_not_called(app: App, wire: WireServer) -> None:
    publish(app, names_no_other, submits_no_other, runs_no_other, resumes_no_other, wide)
    for caller in (names_no_other, submits_no_other, runs_no_other):
        refused(app, caller, "flow:wide", model="main:gpt-4o")
    assert not app.ledger.runs(flow="wide")
    with app.acting(ANN):
        pending = app.submit(wide, {"model": "main:gpt-4o"})
    with pytest.raises(StepFailed):
        as_ann(app, resumes_no_other, model=pending.id)
    assert denials(app)[-1].resource.endswith("/flow:wide")
    assert wire.count() == 0


def test_rbac_05_what_a_flow_submits_is_bound_by_it_when_others_make_it(app: App, wire: WireServer) -> None:
    publish(app, submits_it, wide)
    run_id = str(as_ann(app, submits_it, model="billing:gpt-4o"))
    record = app.ledger.run(run_id)
    assert (record.tenant, record.principal) == ("acme", "user:ann")
    with pytest.raises(StepFailed):
        app.resume(run_id)
    assert app.ledger.run(run_id).status == "failed"
    assert denials(app)[-1].resource.endswith("/connection:billing")
    assert wire.count() == 0


def test_rbac_05_a_child_run_that_is_resumed_by_itself_is_bound_by_its_parent(
    app: App, wire: WireServer
) -> None:
    publish(app, wide, runs_it)
    with pytest.raises(StepFailed):
        as_ann(app, runs_it, model="billing:gpt-4o")
    [child] = app.ledger.runs(flow="wide")
    with pytest.raises(StepFailed):
        app.resume(child.id)
    assert wire.count() == 0
    assert len(denials(app)) == 2


# Publications


def test_rbac_03_a_run_goes_on_with_what_its_version_may_by_then(app: App, wire: WireServer) -> None:
    publish(app, asks)
    with app.acting(ANN):
        pending = app.submit(asks, {"model": "main:gpt-4o"})
    app.access.published.withdraw("asks", digest_of(asks), by=LOCAL, organisation="acme")
    with pytest.raises(StepFailed) as raised:
        app.resume(pending.id)
    assert isinstance(raised.value.__cause__, AccessDenied)
    assert app.ledger.run(pending.id).status == "failed"
    assert "withdrawn" in denials(app)[-1].reason
    app.access.published.approve("asks", digest_of(asks), by=LOCAL, organisation="acme")
    assert app.resume(pending.id)
    assert wire.count() == 1


@pytest.mark.parametrize("state", ["unknown", "published", "withdrawn", "other code", "other tenant"])
def test_rbac_03_a_version_that_nobody_has_approved_is_not_run(
    app: App, wire: WireServer, state: str
) -> None:
    if state == "other code":
        app.access.published.publish("asks", "0" * 64, ["connection:*"], by=LOCAL, organisation="acme")
        app.access.published.approve("asks", "0" * 64, by=LOCAL, organisation="acme")
    elif state == "other tenant":
        publish(app, asks, organisation="umbrella")
    elif state != "unknown":
        publish(app, asks, is_approved=False)
    if state == "withdrawn":
        app.access.published.withdraw("asks", digest_of(asks), by=LOCAL, organisation="acme")
    for begin in (app.run, app.submit):
        with app.acting(ANN), pytest.raises(AccessDenied):
            begin(asks, {"model": "main:gpt-4o"})
    assert not app.ledger.runs()
    assert len(denials(app)) == 2
    assert wire.count() == 0


def ask_over_billing() -> str:
    return generate.sync([Message("user", "Say something.")], using="billing:gpt-4o")


WAYS: dict[str, Callable[[], str]] = {
    "pool": lambda: ThreadPoolExecutor(1).submit(ask_over_billing).result(),
    "map": lambda: next(ThreadPoolExecutor(1).map(lambda _: ask_over_billing(), [1])),
    "carried": lambda: in_thread(flows.carry(ask_over_billing)),
    "to_thread": lambda: asyncio.run(asyncio.to_thread(ask_over_billing)),
    "executor": lambda: asyncio.run(in_executor()),
    "task": lambda: asyncio.run(in_task()),
}


def in_thread(work: Callable[[], str]) -> str:
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(work()))
    thread.start()
    thread.join()
    return said[0] if said else ""


async def in_executor() -> str:
    return await asyncio.get_running_loop().run_in_executor(None, ask_over_billing)


async def in_task() -> str:
    return await asyncio.create_task(anew("billing:gpt-4o"))


@flow(uses=("connection:main",))
def asks_elsewhere(way: str) -> str:
    return WAYS[way]()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("way", WAYS)
def test_rbac_03_a_run_is_bound_in_the_threads_and_tasks_that_carry_it(
    app: App, wire: WireServer, way: str
) -> None:
    publish(app, asks_elsewhere)
    refused(app, asks_elsewhere, "connection:billing", way=way)
    assert wire.count() == 0


GOOD = """from surefoot import flow, generate

@flow(uses=("connection:main",))
def sworn(model: str) -> str:
    return "said nothing"
"""
EVIL = GOOD.replace('"said nothing"', 'generate.sync([{"role": "user", "content": "Say it."}], using=model)')


@pytest.mark.parametrize("is_put_back", [True, False])
def test_rbac_03_what_was_approved_is_what_was_loaded(
    app: App, wire: WireServer, tmp_path: Path, *, is_put_back: bool
) -> None:
    """An editor has a server load other code than he shows the operator, or changes it under a server."""
    file = tmp_path / "sworn_flow.py"
    file.write_text(EVIL if is_put_back else GOOD, encoding="utf-8")
    time.sleep(0.05)  # clocks of files are coarse
    loaded, spec = flows.find_spec(f"{file}:sworn")
    before = file.stat()
    if not is_put_back:
        publish(app, loaded)
        assert as_ann(app, loaded, model="main:gpt-4o") == "said nothing"
    time.sleep(0.05)
    file.write_text(GOOD if is_put_back else EVIL, encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    publish(app, loaded)
    assert flows.fingerprint_of(spec.entry) == digest_of(loaded)
    for begin in (app.run, app.submit):
        with (
            app.acting(ANN),
            pytest.raises(AccessDenied, match="have changed since this process loaded them"),
        ):
            begin(loaded, {"model": "main:gpt-4o"})
    assert wire.count() == 0


@flow(uses=("connection:main", "flow:wide"))
def runs_it_by_key(model: str) -> object:
    return App.current().run(wide, {"model": model}, key="the-key")


@flow(uses=("connection:main",))
def supervises(model: str) -> object:
    """Code of the owner's, which begins runs for others."""
    with App.current().acting(ANN):
        return App.current().run(wide, {"model": model})


@flow(uses=())
def meddles(run_id: str, what: str) -> object:
    app = App.current()
    return {"resume": app.resume, "cancel": app.cancel, "send": lambda run: app.send(run, "go")}[what](run_id)


def test_rbac_05_a_run_that_was_begun_unbounded_is_bound_by_who_goes_on_with_it(
    app: App, wire: WireServer
) -> None:
    wire.fail(Fault(status=400))
    with pytest.raises(StepFailed):
        app.run(wide, {"model": "billing:gpt-4o"}, key="the-key", tags=RunTags(tenant="acme"))
    publish(app, wide, runs_it_by_key)
    with pytest.raises(StepFailed):
        as_ann(app, runs_it_by_key, model="billing:gpt-4o")
    assert denials(app)[-1].resource.endswith("/connection:billing")
    assert wire.count() == 1


def test_rbac_05_a_run_that_the_owner_s_code_begins_for_somebody_is_confined(
    app: App, wire: WireServer
) -> None:
    with pytest.raises(AccessDenied, match="not published"):
        supervises("billing:gpt-4o")
    publish(app, wide)
    assert supervises("billing:gpt-4o")
    [child] = app.ledger.runs(flow="wide")
    assert (child.tenant, child.principal) == ("acme", "user:ann")


@pytest.mark.parametrize("what", ["resume", "cancel", "send"])
def test_rbac_05_a_confined_run_does_nothing_to_runs_of_another_tenant(app: App, what: str) -> None:
    publish(app, meddles)
    other = app.submit(asks, {"model": "main:gpt-4o"}, tags=RunTags(tenant="umbrella"))
    with pytest.raises(StepFailed) as raised:
        as_ann(app, meddles, run_id=other.id, what=what)
    assert "organisation" in str(raised.value)
    assert app.ledger.run(other.id).status == "pending"
    assert not app.ledger.messages([other.id])


@pytest.mark.parametrize("target", [asks, sends_to_all], ids=["sync", "async"])
def test_rbac_03_for_whom_a_run_is_made_is_known_in_async_code_too(app: App, target: Any) -> None:
    publish(app, asks, sends_to_all)
    inputs = {"model": "billing:gpt-4o"} if target is asks else {}

    async def begun() -> None:
        with app.acting(ANN):
            await asyncio.gather(*(app.run_async(target, inputs) for _ in range(2)), return_exceptions=True)

    asyncio.run(begun())
    runs = app.ledger.runs()
    assert [run.status for run in runs] == ["failed", "failed"]
    assert all(run.principal == "user:ann" and "confined" in run.tags for run in runs)
    assert len(denials(app)) == 2


def test_rbac_05_a_caller_reaches_the_connections_of_his_grants_alone(app: App, wire: WireServer) -> None:
    bob = Principal("user:bob", "acme")
    app.access.people.add(bob.who, by=LOCAL, organisation="acme")
    app.access.people.grant(bob.who, "runner", f"acme/{app.access.project}/flow:wide", by=LOCAL)
    app.access.people.grant(bob.who, "runner", f"acme/{app.access.project}/connection:main", by=LOCAL)
    publish(app, wide)
    with app.acting(bob):
        assert app.run(wide, {"model": "main:gpt-4o"})
        with pytest.raises(StepFailed, match="surefoot access grant user:bob runner"):
            app.run(wide, {"model": "billing:gpt-4o"})
        with pytest.raises(AccessDenied):
            app.run(asks, {"model": "main:gpt-4o"})
    assert wire.count() == 1


def test_rbac_05_groups_that_a_token_tells_of_are_remembered_with_the_run(app: App, wire: WireServer) -> None:
    app.access.people.add("group:sales", by=LOCAL, organisation="acme")
    app.access.people.grant("group:sales", "runner", "acme", by=LOCAL)
    publish(app, asks)
    with app.acting(Principal("user:oda", "acme", ("group:sales",))):
        pending = app.submit(asks, {"model": "main:gpt-4o"})
    assert app.resume(pending.id)
    assert wire.count() == 1


def test_rbac_03_code_says_neither_whose_a_run_is_nor_that_it_is_confined(app: App) -> None:
    publish(app, asks)
    with app.acting(ANN):
        eves = RunTags(tenant="umbrella", principal="user:eve")
        run = app.submit(asks, {"model": "main:gpt-4o"}, tags=eves)
        with pytest.raises(Exception, match="confined"):
            app.submit(asks, {"model": "main:gpt-4o"}, tags=RunTags(tags={"confined": ""}))
    record = app.ledger.run(run.id)
    assert (record.tenant, record.principal) == ("acme", "user:ann")


def test_rbac_03_a_run_whose_mark_was_taken_away_is_not_gone_on_with(
    app: App, wire: WireServer, tmp_path: Path
) -> None:
    publish(app, asks)
    with app.acting(ANN):
        pending = app.submit(asks, {"model": "billing:gpt-4o"})
    with sqlite3.connect(tmp_path / ".surefoot" / "ledger.db") as direct:
        direct.execute(
            "UPDATE outcomes SET output_view = 'null', output_sealed = NULL WHERE run_id = ?", (pending.id,)
        )
        direct.execute("UPDATE runs SET tags = '{}' WHERE id = ?", (pending.id,))
    direct.close()
    with pytest.raises(LedgerCorrupt):
        app.resume(pending.id)
    assert wire.count() == 0


def test_rbac_03_a_run_whose_process_was_killed_is_bound_in_the_next_one(
    app: App, wire: WireServer, tmp_path: Path
) -> None:
    publish(app, dies)
    child = processes().Process(target=run_dying, args=(str(tmp_path),))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    record = app.ledger.run("last")
    assert (record.status, record.tenant) == ("running", "acme")
    with pytest.raises(StepFailed):
        app.resume(record.id)
    assert denials(app)[-1].resource.endswith("/connection:billing")
    # The first call was not made again.
    assert [call.headers["authorization"] for call in wire.received] == [f"Bearer {MAIN}"]


def test_rbac_03_what_another_process_withdraws_is_refused_within_the_time_of_the_settings(
    app: App, tmp_path: Path
) -> None:
    publish(app, asks)
    assert as_ann(app, asks, model="main:gpt-4o")
    other = open_app(tmp_path)
    try:
        other.access.published.withdraw("asks", digest_of(asks), by=LOCAL, organisation="acme")
    finally:
        other.close()
    until = time.monotonic() + app.config.access.refresh
    while time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(AccessDenied, match="withdrawn"):
        as_ann(app, asks, model="main:gpt-4o")


# Embedded use


def test_rbac_03_embedded_runs_are_unbounded_unless_the_settings_confine_them(tmp_path: Path) -> None:
    for is_confined in (False, True):
        folder = tmp_path / str(is_confined)
        folder.mkdir()
        (folder / "surefoot.toml").write_text(
            f"[access]\nconfine = {str(is_confined).lower()}\n", encoding="utf-8"
        )
        app = open_app(folder)
        try:
            with app.entered(), scripted(["yes"] * 3):
                if is_confined:
                    with pytest.raises(AccessDenied):
                        asks("billing:gpt-4o")
                    publish(app, asks, names_no_other, organisation="")
                    with pytest.raises(AccessDenied, match="connection:openai"):
                        asks("openai:gpt-4o")
                    assert app.ledger.run("last").tags["confined"].startswith("service:flow/asks@")
                else:
                    assert asks("openai:gpt-4o") == "yes"
                    assert "confined" not in app.ledger.run("last").tags
        finally:
            app.close()


# Who approves, grants and scopes


def test_rbac_04_an_editor_grants_no_connection_to_himself_or_to_his_flow(app: App) -> None:
    published, people = app.access.published, app.access.people
    published.publish("asks", digest_of(asks), ["connection:billing"], by=EDDA, organisation="acme")
    attempts = (
        lambda: published.approve("asks", digest_of(asks), by=EDDA, organisation="acme"),
        lambda: people.grant("user:edda", "operator", "acme", by=EDDA),
        lambda: people.grant("user:edda", "runner", f"acme/{app.access.project}/connection:billing", by=EDDA),
        lambda: people.add("group:operators", by=EDDA, organisation="acme", groups=[]),
    )
    for attempt in attempts:
        with pytest.raises(AccessDenied):
            attempt()
    assert [row.who for row in denials(app)] == ["user:edda"] * len(attempts)
    with app.acting(ANN), pytest.raises(AccessDenied, match="awaits approval"):
        app.run(asks, {"model": "main:gpt-4o"})
    # What was approved once is not changed by publishing the same version with more.
    published.approve("asks", digest_of(asks), by=OLAF, organisation="acme")
    again = published.publish("asks", digest_of(asks), ["connection:*"], by=EDDA, organisation="acme")
    assert again.uses == ("connection:billing",)


def test_rbac_04_nobody_approves_what_he_has_published_whatever_his_roles_are(app: App) -> None:
    app.access.people.grant("user:edda", "operator", "acme", by=LOCAL)
    app.access.published.publish("asks", digest_of(asks), ["connection:main"], by=EDDA, organisation="acme")
    with pytest.raises(AccessDenied, match="himself"):
        app.access.published.approve("asks", digest_of(asks), by=EDDA, organisation="acme")
    assert app.access.published.approve("asks", digest_of(asks), by=OLAF, organisation="acme").approved_ns


def test_rbac_08_a_token_that_has_expired_opens_nothing(app: App) -> None:
    token, row = app.access.tokens.issue("user:ann", by=LOCAL, days=1)
    assert app.access.identity.of(token) is not None
    assert row.expires_ns is not None
    assert row.is_good(row.expires_ns - 1)
    assert not row.is_good(row.expires_ns)
    brief, _ = app.access.tokens.issue("user:ann", by=LOCAL, days=1e-12)
    assert app.access.identity.of(brief) is None


def test_rbac_10_a_token_has_no_more_than_its_scopes_and_than_its_owner(app: App) -> None:
    token, _ = app.access.tokens.issue("user:ann", by=LOCAL, scopes=["run:read", "role:grant"])
    found = app.access.identity.of(token)
    assert found is not None
    principal, row = found
    assert row is not None
    bounded = [
        name for name in ("flow:run", "connection:use", "role:grant") if row.bounds(flows_permission(name))
    ]
    assert bounded == ["flow:run", "connection:use"]
    resource = app.access.resource("role", organisation="acme")
    assert not app.access.decide(principal, flows_permission("role:grant"), resource).is_allowed
    with pytest.raises(InvalidInput):
        app.access.tokens.issue("user:ann", by=LOCAL, scopes=["connection:read_secret"])


def flows_permission(text: str) -> Any:
    from surefoot.access import permission

    return permission(text)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET decision = 'allowed' WHERE decision = 'denied'",
        "UPDATE audit SET who = 'user:ann' WHERE decision = 'denied'",
        "DELETE FROM audit WHERE seq = 3",
        "UPDATE audit SET reason = '' WHERE decision = 'denied'",
    ],
)
def test_rbac_12_a_refusal_that_is_edited_out_of_the_audit_shows(
    app: App, tmp_path: Path, tampering: str
) -> None:
    publish(app, asks)
    refused(app, asks, "connection:billing", model="billing:gpt-4o")
    app.close()
    with sqlite3.connect(tmp_path / ".surefoot" / "ledger.db") as direct:
        assert direct.execute(tampering).rowcount
    direct.close()
    again = open_app(tmp_path)
    try:
        with pytest.raises(LedgerCorrupt, match="tampered"):
            again.access.audit.verify()
    finally:
        again.close()


# Secrets


def test_rbac_03_no_secret_is_in_what_a_served_run_leaves_behind(
    app: App, wire: WireServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(app, asks, over_a_client)
    with app.acting(ANN):
        pending = app.submit(asks, {"model": "main:gpt-4o"})
    worker = threading.Thread(target=lambda: app.resume(pending.id))
    worker.start()
    worker.join()
    assert wire.count() == 1
    errors = [str(refused(app, asks, "connection:billing", model="billing:gpt-4o"))]
    with pytest.raises(StepFailed) as raised:
        as_ann(app, over_a_client, key=BILLING, path=wire.openai_url)
    errors += [
        repr(raised.value),
        *map(str, raised.value.__notes__ if hasattr(raised.value, "__notes__") else []),
    ]
    told = [*errors, caplog.text, *(str(link.outcome) for link in history(app, pending.id))]
    told += [str(row) for row in app.access.audit.every()]
    app.close()
    files = [path.read_bytes() for path in (tmp_path / ".surefoot").rglob("*") if path.is_file()]
    for secret in (MAIN, BILLING):
        assert not any(secret in text for text in told)
        assert not any(secret.encode() in data for data in files)
