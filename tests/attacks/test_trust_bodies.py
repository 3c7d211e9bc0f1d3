"""What a body has read follows its results: by whatever way it gets out, and after a resume as before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from durable import history
from surefoot import App, Call, Workflow, flow, generate, scope, scripted, step, trusted, wait_for
from surefoot.errors import GuardRefused, StepFailed
from surefoot.prompts import Prompty

sent: list[object] = []


@pytest.fixture(autouse=True)
def nothing_sent() -> None:
    sent.clear()


def made(*parts: str) -> str:
    """A text that is no constant of the code."""
    return "".join(parts)


@step(reads="untrusted")
def read() -> str:
    return made("evil", "@x.example")


@step(sends="mail")
def send(what: Any) -> str:
    sent.append(what)
    return "sent"


def refusal(app: App, body: Any, inputs: dict[str, object] | None = None) -> str:
    """The argument that a sink refuses in a run of a flow; empty where it refuses none."""
    try:
        app.run(body, inputs or {})
    except StepFailed as failed:
        cause = failed.__cause__
    else:
        return ""
    assert isinstance(cause, GuardRefused)
    return cause.decisions[0].where


# Bodies that do not end


def test_pi_06_a_step_that_was_cancelled_has_read_what_it_has_read(app: App) -> None:
    begun = asyncio.Event()

    @step
    async def collect(found: list[str]) -> None:
        found.append(read())
        begun.set()
        await asyncio.sleep(3600)

    @flow
    async def hasty() -> None:
        found: list[str] = []
        work = asyncio.ensure_future(collect(found))
        await begun.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        send(found)

    assert refusal(app, hasty) == "argument what of send"
    assert sent == []


# Bodies that hand out as they go


@step(reads="untrusted")
def pages() -> Iterator[str]:
    # As in a test: what came from outside stands in the code.
    yield "a page that somebody wrote"
    yield "another page"


@step(reads="untrusted")
async def pages_async() -> AsyncIterator[str]:
    yield "a page that somebody else wrote"


def test_pi_06_an_item_is_untrusted_before_the_generator_has_ended(app: App) -> None:
    @flow
    def first() -> None:
        for page in pages():
            send(page)

    @flow
    async def first_async() -> None:
        async for page in pages_async():
            send(page)

    assert refusal(app, first) == "argument what of send"
    assert refusal(app, first_async) == "argument what of send"
    assert sent == []


@dataclass
class Verdict:
    kind: Literal["spam", "invoice"]
    summary: str


@step
def verdicts(documents: list[str]) -> Iterator[Verdict]:
    for document in documents:
        yield generate.sync([{"role": "user", "content": document}], Verdict)


@step
def addresses(count: int) -> Iterator[str]:
    for number in range(count):
        yield made("ann", str(number), "@x.example")


def test_pi_06_items_are_as_trusted_in_a_resumed_run_as_they_were(app: App) -> None:
    tries: list[int] = []

    @step
    def break_once() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("no route")

    @step(sends="crm")
    def note(what: str) -> None:
        sent.append(what)

    @flow
    def sort(documents: list[str]) -> None:
        found = list(verdicts(documents))
        known = list(addresses(150))
        send(found[1].kind)
        send(known[149])
        break_once()
        note(found[1].kind)
        note(known[149])
        note(found[1].summary)

    answers = [{"kind": "spam", "summary": "one"}, {"kind": "invoice", "summary": "to evil"}]
    with scripted(answers):
        with pytest.raises(StepFailed, match="no route"):
            app.run(sort, {"documents": ["a mail", "another"]})
        with pytest.raises(StepFailed) as caught:
            app.resume("last", flow=sort)
    assert isinstance(caught.value.__cause__, GuardRefused)
    assert sent == ["invoice", "ann149@x.example"] * 2
    (row,) = [link.outcome for link in history(app) if link.outcome.name == "verdicts"]
    assert (row.trust, row.endorsed) == ("untrusted", ("/items/0/kind", "/items/1/kind"))


def test_pi_06_the_pieces_of_a_stream_are_untrusted_as_they_come(app: App, tmp_path: Path) -> None:
    (tmp_path / "told.prompty").write_text(
        "---\nname: told\ninputs:\n  doc: {type: string, trust: untrusted}\n---\nuser:\n{{doc}}\n"
    )
    told = Prompty.load(tmp_path / "told.prompty")

    @step
    def begun() -> list[str]:
        return ["a first line"]

    @flow(trusted=True)
    def listen(doc: str) -> None:
        heard = begun()
        generate.sync(told, doc=doc, using=Call("openai:gpt-4o", stream=heard.append))
        send(heard)

    with scripted(["what the document wanted to be said"]):
        assert refusal(app, listen, {"doc": "a document"}) == "argument what of send"
    assert sent == []


# What is not the text that it was


def test_pi_06_bytes_that_can_be_written_to_are_known_by_nobody(app: App) -> None:
    @flow
    def write() -> None:
        buffer = trusted(bytearray(b"to: "))
        buffer.extend(read().encode())
        send(buffer)

    assert refusal(app, write) == "argument what of send"
    assert sent == []


class State:
    first = "nobody in particular"
    last = "nobody at all"


def test_pi_06_an_attribute_of_a_class_may_have_been_assigned_to(app: App) -> None:
    @flow
    def keep() -> None:
        app.send("last", "mail", made("evil", "@x.example"))
        State.last = wait_for("mail", str).result()
        send(State.first)
        send(State.last)

    try:
        assert refusal(app, keep) == "argument what of send"
        assert sent == ["nobody in particular"]
    finally:
        State.last = "nobody at all"


# Flows in flows


def test_agent_03_a_flow_inside_may_send_to_no_more_than_it_says(app: App) -> None:
    @flow(uses=())
    def inner() -> None:
        send("a literal address")

    @flow(uses=())
    async def inner_async() -> None:
        send("a literal address")

    class Inner(Workflow, uses=()):
        def run(self) -> None:
            send("a literal address")

    @flow(uses=("mail",))
    def wide() -> None:
        send("another address")

    @flow
    def outer(which: str) -> None:
        {"inner": inner, "class": Inner().run, "wide": wide}[which]()
        send("after it")

    @flow(uses=("web",))
    def narrow() -> None:
        wide()

    @flow
    async def outer_async() -> None:
        await inner_async()

    @flow
    def child() -> None:
        app.run(inner)

    for one in ("inner", "class"):
        assert refusal(app, outer, {"which": one}) == "step send"
    assert refusal(app, outer_async) == "step send"
    assert refusal(app, narrow) == "step send"
    with pytest.raises(StepFailed):
        app.run(child)
    assert sent == []
    assert refusal(app, outer, {"which": "wide"}) == ""
    assert sent == ["another address", "after it"]


def test_a_flow_inside_has_literals_of_its_own(app: App) -> None:
    from helper_flow import tell

    found: list[bool] = []

    @flow
    def outer() -> None:
        read()
        found.append(tell())

    app.run(outer)
    assert found == [True]


def test_pi_06_an_answer_to_what_a_prompt_declares_as_untrusted_is_untrusted(
    app: App, tmp_path: Path
) -> None:
    (tmp_path / "told.prompty").write_text(
        "---\nname: told\ninputs:\n  doc: {type: string, trust: untrusted}\n"
        "  count: {type: integer, trust: untrusted}\n"
        "---\nuser:\n{{doc}} {{count}}\n"
    )
    told = Prompty.load(tmp_path / "told.prompty")
    found: list[bool] = []

    @flow(trusted=True)
    def ask(doc: str) -> None:
        answer = generate.sync(told, doc=doc, count=3)
        here = scope.current()
        assert here is not None
        found.append(here.is_trusted(answer))

    with scripted(["an answer"] * 2):
        app.run(ask, {"doc": "a document"})
        app.run(ask, {"doc": ""})
    assert found == [False, True]
