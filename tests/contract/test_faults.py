"""Every fault below every SDK: how many calls, which error, what is recorded, and what a resume does about it.

`make test` takes a part of the table, `make chaos` all of it (SUREFOOT_TEST_FAULTS=all).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from durable import history
from faults import ALL, FAULTS, Case, FaultServer
from surefoot import App, flow
from surefoot.config import load
from surefoot.errors import StepFailed


@dataclass(frozen=True)
class Form:
    """A way of calling."""

    sdk: str
    is_async: bool
    is_streamed: bool

    def __str__(self) -> str:
        return "-".join(
            (
                self.sdk,
                "async" if self.is_async else "sync",
                "stream" if self.is_streamed else "whole",
            )
        )


FORMS = [
    Form(sdk, is_async, is_streamed)
    for sdk in ("openai", "anthropic")
    for is_async in (False, True)
    for is_streamed in (False, True)
]
IS_WHOLE = os.environ.get("SUREFOOT_TEST_FAULTS") == "all"
PATIENCE = [None, 5]  # `max_retries` of the SDK: as it is made, and as the user sets it for the call


def _chosen() -> Iterator[Any]:
    """All combinations, or one of each fault, another one each time."""
    for index, name in enumerate(FAULTS):
        for place, form in enumerate(FORMS):
            for turn, patience in enumerate(PATIENCE):
                # Between retries after a broken connection, which we cannot forbid, an SDK sleeps for seconds.
                is_slow = FAULTS[name].fault.kind in ("reset", "hang", "cut")
                is_taken = place == index % 8 and turn == (0 if is_slow else index // 2 % 2)
                if IS_WHOLE or is_taken:
                    yield pytest.param(name, form, patience, id=f"{name}-{form}-{patience or 'own'}")


CHOSEN = list(_chosen())


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_MODELS_RETRIES": "2",
        "SUREFOOT_MODELS_RETRY_CAP": "0.001",
    }
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@dataclass
class Asker:
    """Calls a model as a user's code does: through an SDK, sync or async, for the whole answer or as a stream."""

    server: FaultServer
    form: Form
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        if self.form.is_async:
            return asyncio.run(self._ask_async(text))
        with self._client() as made:
            answer = self._create(made.with_options(**self.options), text)
            if not self.form.is_streamed:
                return self._text(answer)
            return "".join(self._part(event) for event in answer)

    async def _ask_async(self, text: str) -> str:
        async with self._client() as made:
            answer = await self._create(made.with_options(**self.options), text)
            if not self.form.is_streamed:
                return self._text(answer)
            return "".join([self._part(event) async for event in answer])

    def _client(self) -> Any:
        vendor: Any = openai if self.form.sdk == "openai" else anthropic
        # Without encryption there is no need for certificates, which take their time to load.
        http = (vendor.DefaultAsyncHttpxClient if self.form.is_async else vendor.DefaultHttpxClient)(
            verify=False
        )
        if self.form.sdk == "openai":
            kind: Any = openai.AsyncOpenAI if self.form.is_async else openai.OpenAI
            return kind(base_url=self.server.openai_url, api_key="test", http_client=http)
        kind = anthropic.AsyncAnthropic if self.form.is_async else anthropic.Anthropic
        return kind(base_url=self.server.anthropic_url, api_key="test", http_client=http)

    def _create(self, client: Any, text: str) -> Any:
        messages = [{"role": "user", "content": text}]
        if self.form.sdk == "openai":
            return client.chat.completions.create(
                model="gpt-4o", messages=messages, stream=self.form.is_streamed
            )
        return client.messages.create(
            model="claude-sonnet-5", max_tokens=9, messages=messages, stream=self.form.is_streamed
        )

    def _text(self, answer: Any) -> str:
        return answer.choices[0].message.content if self.form.sdk == "openai" else answer.content[0].text

    def _part(self, event: Any) -> str:
        if self.form.sdk == "openai":
            return event.choices[0].delta.content or ""
        return event.delta.text if event.type == "content_block_delta" else ""


@dataclass
class Situation:
    """A flow that asks twice; while `is_broken`, the second call meets the fault."""

    server: FaultServer
    case: Case
    ask: Asker
    patience: int | None
    is_broken: bool = True

    def break_down(self) -> None:
        self.server.break_down(self.case.fault)
        if self.case.timeout is not None:
            self.ask.options["timeout"] = self.case.timeout
        if self.patience is not None:
            self.ask.options["max_retries"] = self.patience

    def mend(self) -> None:
        self.is_broken = False
        self.server.mend()
        self.ask.options.clear()

    def flow(self) -> Any:
        @flow
        def asking_twice() -> list[str]:
            first = self.ask("first")
            if self.is_broken:
                self.break_down()
            return [first, self.ask("second")]

        return asking_twice

    @property
    def texts(self) -> list[str]:
        """The calls that have arrived so far, by what they ask."""
        return [call.body["messages"][-1]["content"] for call in self.server.received]


def seen(call: Callable[[], object]) -> str:
    """The class of the error that comes out of a call; empty if there is none."""
    try:
        call()
    except StepFailed as error:
        return type(error.__cause__).__name__
    except Exception as error:  # noqa: BLE001 - whatever a user would see
        return type(error).__name__
    return ""


def recorded(app: App) -> list[tuple[str, str]]:
    """The calls and the end of the last run."""
    links = [link.outcome for link in history(app)]
    return [(one.kind, one.status) for one in links if one.kind in ("call", "end")]


@pytest.mark.parametrize(("name", "form", "patience"), CHOSEN)
def test_a_fault_makes_as_many_calls_as_the_table_says_and_is_survived_by_a_resume(
    app: App, server: FaultServer, name: str, form: Form, patience: int | None
) -> None:
    case = FAULTS[name]
    expected = case.streamed if form.is_streamed else case.buffered
    ask = Asker(server, form)
    now = Situation(server, case, ask, patience)
    server.mend()  # whatever became of the test before
    server.received.clear()

    now.break_down()
    ask.options["max_retries"] = 0
    bare = seen(lambda: ask("outside of any run"))
    server.wait_for(1)
    assert bare == expected.error_in(form.sdk)
    server.mend()
    server.received.clear()
    ask.options.clear()

    asking_twice = now.flow()
    assert seen(lambda: app.run(asking_twice)) == bare  # the user sees what the bare SDK raises
    server.wait_for(1 + expected.calls)
    assert now.texts == ["first"] + ["second"] * expected.calls
    keys = [call.headers["idempotency-key"] for call in server.received]
    assert len(set(keys[1:])) == 1
    assert keys[0] != keys[1]
    assert recorded(app) == [
        ("call", "completed"),
        ("call", expected.status),
        ("end", "failed" if bare else "completed"),
    ]

    now.mend()
    server.received.clear()
    if bare:
        again = app.resume(app.ledger.run("last").id, flow=asking_twice)
        assert isinstance(again, list)
        assert all(again)
        # What was answered is not paid again, and what was not answered is asked once.
        assert now.texts == ["second"]
        assert recorded(app)[-2:] == [("call", "completed"), ("end", "completed")]
    else:
        app.resume(app.ledger.run("last").id, flow=asking_twice)
        assert now.texts == []


def test_the_table_has_every_form() -> None:
    """Whatever part of it is taken, each fault is in it, and each way of calling."""
    taken = [param.values for param in CHOSEN]
    assert {values[0] for values in taken} == set(FAULTS)
    assert {values[1] for values in taken} == set(FORMS)
    assert {values[2] for values in taken} == set(PATIENCE)
    assert all(case.buffered.calls <= ALL and case.streamed.calls <= ALL for case in FAULTS.values())


def test_a_flow_that_survived_a_fault_goes_the_same_way_again(app: App, server: FaultServer) -> None:
    """Its failure is an outcome: where something else ends the run, it is replayed and not asked for again."""
    ask = Asker(server, Form("openai", is_async=False, is_streamed=False))
    is_ended_by = [ValueError("the end")]
    server.received.clear()

    @flow
    def surviving() -> str:
        try:
            answer = ask("try")
        except openai.InternalServerError:
            answer = "none"
            server.mend()
        other = ask("other")
        if is_ended_by:
            raise is_ended_by.pop()
        return f"{answer}, {other}"

    server.break_down(FAULTS["500"].fault)
    assert seen(lambda: app.run(surviving)) == "ValueError"
    assert server.count() == ALL + 1
    assert app.resume(app.ledger.run("last").id, flow=surviving) == "none, gpt-4o heard: other"
    assert server.count() == ALL + 1


def test_an_unfit_answer_that_was_survived_is_not_asked_for_again(app: App, server: FaultServer) -> None:
    ask = Asker(server, Form("openai", is_async=False, is_streamed=False))
    is_ended_by = [ValueError("the end")]
    server.received.clear()

    @flow
    def surviving() -> str:
        try:
            answer = ask("try")
        except AttributeError:
            answer = "none"
            server.mend()
        other = ask("other")
        if is_ended_by:
            raise is_ended_by.pop()
        return f"{answer}, {other}"

    server.break_down(FAULTS["web page"].fault)
    assert seen(lambda: app.run(surviving)) == "ValueError"
    assert app.resume(app.ledger.run("last").id, flow=surviving) == "none, gpt-4o heard: other"
    assert server.count() == 2
