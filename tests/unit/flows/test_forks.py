"""Forks: a new run takes what another has recorded, runs the rest anew, and does nothing to the world."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable import history
from surefoot import App, flow, generate, now, prompt, random, scripted, send, sleep, step, wait_for
from surefoot.errors import InvalidInput, RunPruned, StepFailed, UnknownRun, UsageError
from surefoot.flows import Run, fork, fork_async
from surefoot.ledger import Outcome, pins_of
from surefoot.ledger.opening import tables_of
from surefoot.ledger.retention import Rule, prune
from surefoot.values import RunTags

DONE: list[str] = []
FAILING: list[str] = []
KILLING: list[str] = []


class Killed(BaseException):
    """What ends a process in the middle, as far as the run can tell."""


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    for what in (DONE, FAILING, KILLING):
        what.clear()


@pytest.fixture
def prompts(app: App) -> Path:
    folder = app.settings.root / "prompts"
    folder.mkdir()
    for name in ("first", "second", "third"):
        for version in ("1", "2"):
            text = f"prompt_id: {name}\nversion: '{version}'\ntemplate: '{name} {version}: {{x}}'\n"
            (folder / f"{name}{version}.yaml").write_text(text)
        app.prompts.promote(f"{name}@1", "production")
        app.prompts.promote(f"{name}@2", "candidate")
    return folder


def noted(name: str) -> None:
    if name in KILLING:
        KILLING.remove(name)
        raise Killed
    if name in FAILING:
        FAILING.remove(name)
        raise ValueError(f"{name} has a bad day")
    DONE.append(name)


@step
def one(x: int) -> int:
    noted("one")
    return x + 1


@step
def two(x: int) -> int:
    noted("two")
    return inner(x) + random() * 0


@step
def inner(x: int) -> int:
    noted("inner")
    return x * 10


@step
def three(x: int) -> str:
    noted("three")
    return f"three {x:g}"


@flow
def line(x: int) -> str:
    return three(two(one(x)))


@flow
def asking(x: str) -> str:
    for name in ("first", "second", "third"):
        x = ask(name, x)
    return x


@step
def ask(name: str, x: str) -> str:
    noted(f"ask {name}")
    said = generate.sync(name, using="openai:gpt-4o", x=x)
    return shortened(said)


@step
def shortened(text: str) -> str:
    noted("shortened")
    return text[:40]


@step(effect=True, check=lambda _key: None)
def mail(to: str) -> str:
    noted(f"mail {to}")
    return f"sent to {to}"


@step(transaction="ledger", stand_in="not booked")
def book(connection: Any, amount: int) -> str:
    noted(f"book {amount}")
    connection.execute("CREATE TABLE IF NOT EXISTS bookings (amount INTEGER)")
    connection.execute("INSERT INTO bookings VALUES (?)", (amount,))
    return f"booked {amount}"


@step(effect=True, compensate=lambda result: DONE.append(f"undo {result}"))
def charge(amount: int) -> str:
    noted(f"charge {amount}")
    return f"charged {amount}"


@step
def last(x: str) -> str:
    noted("last")
    return x


@flow
def acting(to: str, amount: int) -> list[str]:
    before = one(1)
    said = [mail(to), book(amount), charge(amount)]
    return [*said, last(f"{before}")]


def outcomes(app: App, run: Run | str = "last") -> list[Outcome]:
    run_id = run if isinstance(run, str) else run.id
    kinds = ("step", "call", "flow")
    return [link.outcome for link in history(app, run_id) if link.outcome.kind in kinds]


def anew(app: App, run: Run | str = "last") -> list[str]:
    """What a fork has done itself, in order."""
    return [outcome.name for outcome in outcomes(app, run) if not outcome.is_cached and not outcome.is_intent]


def made(app: App, target: Any, *args: object, **inputs: object) -> str:
    target(*args, **inputs)
    DONE.clear()
    return app.ledger.run("last").id


def said(request: Any) -> str:
    return f"<{request.text}>"


def test_a_fork_without_changes_does_nothing_and_gives_the_same(app: App) -> None:
    origin = made(app, line, 3)
    forked = fork(origin)
    assert (forked.output, forked.status, DONE) == ("three 40", "completed", [])
    assert forked.id != origin
    assert forked.record.tags["forked_from"] == origin
    assert anew(app, forked) == []
    assert [o.name for o in outcomes(app, forked)] == ["one", "two", "three"]
    assert app.ledger.run(origin).status == "completed"


def test_it_is_bound_to_what_its_origin_had_recorded(app: App) -> None:
    origin = made(app, line, 3)
    head = history(app, origin)[-1].hash.hex()
    forked = fork(origin)
    assert (
        app.ledger.view(app.ledger.start(forked.id).output) == f'{{"forked_from":"{origin}","hash":"{head}"}}'
    )
    assert app.ledger.first_break(forked.id) is None


@pytest.mark.parametrize(
    ("step_name", "done"),
    [
        ("one", ["one", "two", "inner", "three"]),
        ("two", ["two", "inner", "three"]),
        ("inner", ["two", "inner", "three"]),
        ("three", ["three"]),
    ],
)
def test_it_runs_anew_from_a_step_on(app: App, step_name: str, done: list[str]) -> None:
    origin = made(app, line, 3)
    forked = fork(origin, step_name)
    assert done == DONE
    assert forked.output == "three 40"
    # What chance gave is given once more.
    assert "random" not in anew(app, forked)


def test_a_step_is_named_by_its_key_or_its_number(app: App, prompts: Path) -> None:
    with scripted(said):
        origin = made(app, asking, "a")
        with pytest.raises(UsageError, match=r"has 3 steps 'ask'.*ask#2"):
            fork(origin, "ask")
        fork(origin, "ask#3")
        assert DONE == ["ask third", "shortened"]
        DONE.clear()
        key = next(o.key.hex() for o in outcomes(app, origin) if o.name == "ask")
        fork(origin, key[:10])
    assert len(DONE) == 6
    with pytest.raises(UsageError, match="no step 'nobody': there are"):
        fork(origin, "nobody")


@pytest.mark.parametrize(("changed", "calls"), [("first", 3), ("second", 2), ("third", 1)])
def test_a_changed_prompt_runs_anew_what_used_it_and_what_depends_on_that(
    app: App, prompts: Path, changed: str, calls: int
) -> None:
    with scripted(said):
        origin = made(app, asking, "a")
    with scripted(said) as script:
        forked = fork(origin, changes=[f"prompt:{changed}@candidate"])
    assert len(script.requests) == calls
    assert f"{changed} 2" in script.requests[0].text
    assert "1:" in "".join(request.text for request in script.requests[1:]) or calls == 1
    # What is inside of a step that was taken is not taken apart from it.
    assert forked.totals.calls == calls
    assert app.ledger.run(origin).totals.calls == 3


@step
def composed(x: str) -> str:
    noted("composed")
    system = prompt("first").messages(x=x)[0].text
    return f"{system}, {prompt('second').messages(x=x)[0].text}"


@flow
def composing(x: str) -> str:
    return ask("first", composed(x)) + ask("third", x)


def test_a_prompt_that_a_step_rendered_before_another_counts_too(app: App, prompts: Path) -> None:
    with scripted(said):
        origin = made(app, composing, "a")
        fork(origin, changes=["prompt:third@candidate"])
        assert DONE == ["ask third", "shortened"]
        for run in (origin, fork(origin).id):
            DONE.clear()
            forked = fork(run, changes=["prompt:first@candidate"])
            assert DONE == ["composed", "ask first", "shortened"]
            assert "first 2: a, second 1: a" in str(forked.output)
    # What a reference means in the run is as it was.
    assert {name.rpartition("@")[0] or name for name in pins_of(app.ledger, origin)} == {
        "first",
        "second",
        "third",
    }


def test_a_change_that_makes_no_difference_runs_only_what_it_touches(app: App, prompts: Path) -> None:
    with scripted(lambda _: "always the same"):
        origin = made(app, asking, "a")
    with scripted(lambda _: "always the same") as script:
        fork(origin, changes=["prompt:first@candidate"])
    # The other steps have the inputs that they had, and what is inside of the touched one too.
    assert DONE == ["ask first"]
    assert len(script.requests) == 1


def test_the_version_that_it_had_is_no_change(app: App, prompts: Path) -> None:
    with scripted(said):
        origin = made(app, asking, "a")
    assert anew(app, fork(origin, changes=["prompt:first@1"])) == []


def test_references_mean_what_they_did_unless_they_are_changed(app: App, prompts: Path) -> None:
    with scripted(said):
        origin = made(app, asking, "a")
        app.prompts.promote("third@2", "production")
    with scripted(said) as script:
        fork(origin, "ask#2")
    assert [request.text.split(":")[0] for request in script.requests] == ["second 1", "third 1"]


def test_another_model_is_asked_where_the_old_one_was(app: App, prompts: Path) -> None:
    with scripted(said):
        origin = made(app, asking, "a")
    with scripted(said) as script:
        fork(origin, changes=["model:openai:gpt-4o=anthropic:claude-sonnet-5"])
    assert {request.model for request in script.requests} == {"claude-sonnet-5"}
    assert anew(app).count("ask") == len(script.requests) == 3


def test_a_named_step_runs_anew(app: App) -> None:
    origin = made(app, line, 3)
    fork(origin, changes=["step:two"])
    assert DONE == ["two"]


def test_changed_inputs_run_anew_what_they_reach(app: App) -> None:
    origin = made(app, line, 3)
    assert fork(origin, inputs={"x": 4}).output == "three 50"
    assert DONE == ["one", "two", "inner", "three"]
    assert fork(origin, changes=["input:x=5"]).output == "three 60"
    with pytest.raises(InvalidInput, match="'y' is no input"):
        fork(origin, inputs={"y": 4})


def test_what_it_takes_costs_nothing_and_counts_as_work(app: App, prompts: Path) -> None:
    with scripted(lambda _: scripted.says("hello", usage=None)):
        origin = made(app, asking, "a")
    forked = fork(origin)
    assert forked.totals.cost.nanos == 0
    assert forked.totals.usage.input == 0
    with scripted(said):
        forked = fork(origin, changes=["step:ask"])
    calls = [outcome for outcome in outcomes(app, forked) if outcome.kind == "call"]
    assert [call.is_cached for call in calls] == [True, True, True]
    assert (forked.totals.calls, forked.totals.usage.input, forked.totals.cost.nanos) == (3, 0, 0)


def test_failures_that_were_survived_are_taken_and_the_one_that_ended_it_is_not(app: App) -> None:
    @flow
    def surviving(x: int) -> int:
        try:
            return one(x)
        except ValueError:
            return inner(x)

    FAILING.append("one")
    surviving(2)
    DONE.clear()
    origin = app.ledger.run("last").id
    assert fork(origin, flow=surviving).output == 20
    assert DONE == []
    FAILING.append("three")
    with pytest.raises(ValueError, match="bad day"):
        line(3)
    failed = app.ledger.run("last").id
    DONE.clear()
    assert fork(failed).output == "three 40"
    assert DONE == ["three"]


def test_effects_and_transactions_never_happen(app: App) -> None:
    origin = made(app, acting, "ann", 5)
    for options in ({}, {"changes": ["step:mail", "step:book", "step:charge"]}):
        assert fork(origin, **options).output == ["sent to ann", "booked 5", "charged 5", "2"]  # type: ignore[arg-type]
    assert DONE == []
    # Everything anew: what was done with these inputs stands in.
    assert fork(origin, "one").output == ["sent to ann", "booked 5", "charged 5", "2"]
    assert DONE == ["one", "last"]
    statuses = {o.name: o.status for o in outcomes(app) if o.name in ("mail", "book", "charge")}
    assert set(statuses.values()) == {"suppressed"}
    # With other inputs nothing was done.
    assert fork(origin, inputs={"to": "bob", "amount": 6}).output == [None, "not booked", None, "2"]
    assert DONE == ["one", "last"]
    assert len(app.ledger.ask(("SELECT amount FROM bookings", ()))) == 1


def test_effects_happen_where_they_are_allowed(app: App) -> None:
    origin = made(app, acting, "ann", 5)
    fork(origin, inputs={"to": "bob"}, allow_effects=True)
    assert DONE == ["mail bob"]
    assert len(app.ledger.ask(("SELECT amount FROM bookings", ()))) == 1


def test_nothing_of_the_origin_is_undone_by_a_fork_that_fails(app: App) -> None:
    origin = made(app, acting, "ann", 5)
    for from_step in ("last", "one"):
        DONE.clear()
        FAILING.append("last")
        with pytest.raises(StepFailed, match="bad day"):
            fork(origin, from_step)
        assert "undo charged 5" not in DONE


def test_a_fork_that_was_killed_is_resumed_as_one(app: App, prompts: Path) -> None:
    with scripted(said):
        origin = made(app, asking, "a")
        KILLING.append("ask third")
        with pytest.raises(Killed):
            fork(origin, changes=["prompt:second@candidate"])
        assert DONE == ["ask second", "shortened"]
    app.prompts.promote("second@1", "candidate")
    with scripted(said) as script:
        output = app.resume("last")
    assert DONE == ["ask second", "shortened", "ask third", "shortened"]
    assert len(script.requests) == 1
    forked = app.ledger.run("last")
    assert (forked.status, forked.tags["forked_from"]) == ("completed", origin)
    assert "second 2" in str(output)


def test_a_fork_that_is_resumed_by_anybody_does_no_effects(app: App) -> None:
    origin = made(app, acting, "ann", 5)
    KILLING.append("one")
    with pytest.raises(Killed):
        fork(origin, "one", inputs={"to": "bob"})
    assert app.resume("last") == [None, "booked 5", "charged 5", "2"]
    assert DONE == ["one", "last"]


def test_time_does_not_pass_twice_and_events_are_taken_once(app: App) -> None:
    @flow
    def waiting() -> list[object]:
        when = now()
        sleep(0.01)
        return [when, wait_for("go").result(), three(1)]

    def send_it() -> None:
        while not (runs := app.ledger.runs(flow="waiting")):
            pass
        with app.entered():
            send(runs[0].id, "go", {"n": 1})

    thread = threading.Thread(target=send_it)
    thread.start()
    first = waiting()
    thread.join()
    origin = app.ledger.run("last").id
    DONE.clear()
    assert fork(origin, "three", flow=waiting).output == first
    assert DONE == ["three"]


def test_events_are_not_sent_to_other_runs(app: App) -> None:
    @flow
    def telling(to: str) -> str:
        one(1)
        send(to, "news", 1)
        return "sent"

    target = made(app, line, 1)

    @flow
    def sleeping() -> None:
        raise ValueError("waits to be resumed")

    with pytest.raises(ValueError, match="waits"):
        sleeping()
    target = app.ledger.run("last").id
    telling(target)
    origin = app.ledger.run("last").id
    fork(origin, "one", flow=telling)
    assert len(app.ledger.messages([target])) == 1


def test_child_runs_are_forked_too(app: App, prompts: Path) -> None:
    with scripted(said):
        outer("a")
    origin = app.ledger.runs(flow="outer")[0].id
    DONE.clear()
    with scripted(said) as script:
        forked = fork(origin, changes=["prompt:third@candidate"])
    assert len(script.requests) == 2, "the child's last call, and the one of its parent"
    child = app.ledger.runs(parent_run=forked.id)[0]
    was = app.ledger.runs(parent_run=origin)[0]
    assert child.tags["forked_from"] == was.id
    assert anew(app, child.id) == ["openai.chat", "shortened", "ask"]
    # Where nothing inside is touched the child is not run at all.
    assert app.ledger.runs(parent_run=fork(origin).id) == []


@flow
def outer(x: str) -> str:
    return str(ask("third", str(App.current().run(asking, {"x": x}, key="one-of-its-kind"))))


def test_a_child_behind_the_step_is_run_anew(app: App, prompts: Path) -> None:
    with scripted(said):
        after("a")
        origin = app.ledger.run("last").id
        DONE.clear()
        forked = fork(origin, "one")
    assert DONE.count("one") == 1
    assert sum(name.startswith("ask") for name in DONE) == 3
    assert app.ledger.runs(parent_run=forked.id)[0].status == "completed"


@flow
def after(x: str) -> object:
    one(1)
    return App.current().run(asking, {"x": x})


def test_a_failed_attempt_and_its_inside_are_left_behind(app: App) -> None:
    @step(retries=1, backoff=lambda _failures: 0.0)
    def trying(x: int) -> int:
        found = inner(x)
        noted("trying")
        return found

    @flow
    def retrying(x: int) -> str:
        return three(trying(x))

    FAILING.append("trying")
    assert retrying(2) == "three 20"
    origin = app.ledger.run("last").id
    DONE.clear()
    fork(origin, changes=["step:trying"], flow=retrying)
    # The inside of the attempt that counted is taken.
    assert DONE == ["trying"]


def test_each_attempt_of_a_fork_takes_what_lies_inside(app: App) -> None:
    @step(retries=2, backoff=lambda _failures: 0.0)
    def trying(to: str) -> str:
        found = f"{inner(1)} {mail(to)}"
        noted("trying")
        return found

    @flow
    def retrying(to: str) -> str:
        return trying(to)

    assert retrying("ann") == "10 sent to ann"
    origin = app.ledger.run("last").id
    DONE.clear()
    FAILING.extend(["trying", "trying"])
    # What stands in for an effect does so however often it is asked for.
    assert fork(origin, changes=["step:trying"], flow=retrying).output == "10 sent to ann"
    assert DONE == ["trying"]


def test_chains_side_by_side_keep_to_their_own(app: App) -> None:
    @step
    async def slow(n: int) -> int:
        await asyncio.sleep(0.001 * (3 - n))
        noted(f"slow {n}")
        return n

    @step
    async def draw(n: int) -> float:
        noted(f"draw {n}")
        return random()

    @flow
    async def fanned() -> list[float]:
        async def chain(n: int) -> float:
            await slow(n)
            return await draw(0)

        return list(await asyncio.gather(*(chain(n) for n in range(3))))

    first = asyncio.run(fanned())  # type: ignore[arg-type]
    origin = app.ledger.run("last").id
    DONE.clear()
    assert asyncio.run(fork_async(origin, flow=fanned)).output == first
    assert DONE == []
    assert asyncio.run(fork_async(origin, changes=["step:slow"], flow=fanned)).output == first
    assert sorted(DONE) == ["slow 0", "slow 1", "slow 2"]


def test_secrets_stay_sealed_under_the_forks_own_key(app: App) -> None:
    @step
    def secret() -> str:
        noted("secret")
        return "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"

    @flow
    def telling() -> str:
        return three(len(secret()))

    telling()
    origin = app.ledger.run("last").id
    DONE.clear()
    forked = fork(origin, flow=telling)
    row = next(o for o in outcomes(app, forked) if o.name == "secret")
    was = next(o for o in outcomes(app, origin) if o.name == "secret")
    assert (DONE, row.output.sealed is not None) == ([], True)
    assert row.output.key_id != was.output.key_id
    assert "sk-proj" not in app.ledger.view(row.output)


def test_large_outcomes_are_shared_by_their_digest(app: App) -> None:
    @step
    def large() -> str:
        noted("large")
        return "x" * 200_000

    @flow
    def growing() -> int:
        return len(large())

    growing()
    origin = app.ledger.run("last").id
    blobs = app.ledger.ask(("SELECT count(*) FROM blobs", ()))
    assert fork(origin, flow=growing).output == 200_000
    assert app.ledger.ask(("SELECT count(*) FROM blobs", ())) == blobs


def test_there_is_no_divergence_in_a_fork(app: App) -> None:
    origin = made(app, line, 3)

    @flow(name="line")
    def changed(x: int) -> str:
        return three(inner(one(x + 1)))

    assert fork(origin, flow=changed).output == "three 50"


def test_it_keeps_for_whom_the_run_was_made(app: App) -> None:
    app.run(line, {"x": 1}, tags=RunTags("acme", "ann", "s1", {"team": "a"}))
    forked = fork("last", tags={"why": "a look"})
    record = forked.record
    assert (record.tenant, record.principal, record.session) == ("acme", "ann", "s1")
    assert record.tags["why"] == "a look"
    with pytest.raises(UsageError, match="'forked_from' is for runs"):
        app.run(line, {"x": 1}, tags=RunTags(tags={"forked_from": "me"}))


def test_what_is_gone_cannot_be_forked_nor_a_fork_of_it_resumed(app: App) -> None:
    with pytest.raises(UnknownRun):
        fork("01NOBODY")
    origin = made(app, line, 3)
    KILLING.append("three")
    with pytest.raises(Killed):
        fork(origin, "three")
    forked = app.ledger.run("last").id
    with closing(tables_of(app.ledger)) as tables:
        prune(tables, [Rule("runs", time.time_ns() + 10**18)], now_ns=time.time_ns())
    with pytest.raises(RunPruned, match="cannot be forked"):
        fork(origin)
    with pytest.raises(RunPruned, match=f"run {origin} was pruned"):
        app.resume(forked)


def test_not_inside_of_a_run(app: App) -> None:
    origin = made(app, line, 3)

    @flow
    def forking() -> object:
        return fork(origin)

    with pytest.raises(UsageError, match="outside of flows"):
        forking()
