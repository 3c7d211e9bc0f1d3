"""Every fault below `generate`: how many calls, which error, what is recorded, and what a resume does about it.

`make test` takes a part of the table, `make chaos` all of it (SUREFOOT_TEST_FAULTS=all).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable import history
from faults import FAULTS, ONE, FaultServer
from surefoot import App, Call, errors, flow, generate
from surefoot.config import load

REFUSED, CREDENTIAL = "RequestRefused", "CredentialRefused"
ERRORS = {
    **dict.fromkeys(("400", "404", "422", "400, to be retried"), REFUSED),
    **dict.fromkeys(("401", "403"), CREDENTIAL),
    "408": "ModelTimeout",
    "hang": "ModelTimeout",
    "409": "ModelUnavailable",
    **dict.fromkeys(("500", "503", "529", "500, not to be retried", "reset", "cut"), "ModelUnavailable"),
    **{name: "RateLimited" for name in FAULTS if name == "429" or name.startswith("retry-after")},
    **dict.fromkeys(("half of the JSON", "web page", "empty", "200 with an error"), "MalformedResponse"),
}
"""What is raised, whole or streamed; nothing where there is an answer."""
STREAMED = {"error event": "ModelUnavailable", "ended early": "ModelUnavailable"}
"""What is raised of a stream alone: an end that nobody announced may be half of an answer."""

MODELS = ["openai:gpt-4o", "openai-responses:gpt-4o", "anthropic:claude-opus-9", "google:gemini-2.5-pro"]
IS_WHOLE = os.environ.get("SUREFOOT_TEST_FAULTS") == "all"


@dataclass(frozen=True)
class Form:
    """A way of calling."""

    model: str
    is_async: bool
    is_streamed: bool

    def __str__(self) -> str:
        when, how = "async" if self.is_async else "sync", "stream" if self.is_streamed else "whole"
        return f"{self.model.partition(':')[0]}-{when}-{how}"


def _chosen() -> Iterator[Any]:
    """All combinations, or one of each fault, another one each time."""
    forms = [
        (model, is_async, is_streamed) for model in MODELS for is_async in (0, 1) for is_streamed in (0, 1)
    ]
    for index, name in enumerate(FAULTS):
        for place, (model, is_async, is_streamed) in enumerate(forms):
            if IS_WHOLE or place in (index * 3 % 16, (index * 3 + 9) % 16):
                form = Form(model, is_async=bool(is_async), is_streamed=bool(is_streamed))
                yield pytest.param(name, form, id=f"{name}-{form}")


CHOSEN = list(_chosen())


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def app(tmp_path: Path, server: FaultServer) -> Iterator[App]:
    server.mend()
    server.received.clear()
    (tmp_path / "surefoot.toml").write_text(
        f'[connections.openai-responses]\nprovider = "openai"\napi = "responses"\nbase_url = "{server.openai_url}"\n'
    )
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_MODELS_RETRIES": "2",
        "SUREFOOT_MODELS_RETRY_CAP": "0.001",
        "SUREFOOT_MODELS_RETRY_RESERVE": "1000",
        **{f"{provider}_API_KEY": "key-of-a-test" for provider in ("OPENAI", "ANTHROPIC", "GOOGLE")},
        "OPENAI_BASE_URL": server.openai_url,
        "ANTHROPIC_BASE_URL": server.anthropic_url,
        "GOOGLE_GEMINI_BASE_URL": server.url,
    }
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered():
            yield app
    finally:
        app.close()


@pytest.mark.parametrize(("name", "form"), CHOSEN)
def test_a_fault_makes_as_many_calls_as_the_table_says_and_is_survived_by_a_resume(
    app: App, server: FaultServer, name: str, form: Form
) -> None:
    case, model, is_async, is_streamed = FAULTS[name], form.model, form.is_async, form.is_streamed
    error = ERRORS.get(name, STREAMED.get(name, "") if is_streamed else "")
    calls = (case.streamed if is_streamed else case.buffered).calls
    assert calls >= ONE
    heard: list[str] = []
    faulty = [True]

    def using() -> Call:
        return Call(
            model, stream=heard.append if is_streamed else None, timeout=case.timeout if faulty else None
        )

    def broken() -> None:
        if faulty:
            server.break_down(case.fault)

    @flow
    def asking() -> list[str]:
        first = generate.sync([{"role": "user", "content": "first"}], using=Call(model))
        broken()
        return [first, generate.sync([{"role": "user", "content": "second"}], using=using())]

    @flow
    async def asking_async() -> list[str]:
        first = await generate([{"role": "user", "content": "first"}], using=Call(model))
        broken()
        return [first, await generate([{"role": "user", "content": "second"}], using=using())]

    target: Any = asking_async if is_async else asking
    if error:
        with pytest.raises(getattr(errors, error)) as raised:
            asyncio.run(target()) if is_async else target()
        assert type(raised.value).__name__ == error
        assert model.partition(":")[2] in str(raised.value)
    else:
        assert all(asyncio.run(target()) if is_async else target())
    if case.timeout is not None:
        server.wait_for(1 + calls)
    assert len(server.received) == 1 + calls
    keys = [call.headers["idempotency-key"] for call in server.received]
    assert len(set(keys[1:])) == 1
    assert keys[0] != keys[1]
    statuses = [link.outcome.status for link in history(app) if link.outcome.kind == "call"]
    assert statuses == ["completed", "failed" if error else "completed"]

    faulty.clear()
    server.mend()
    server.received.clear()
    heard.clear()
    again = app.resume(app.ledger.run("last").id, flow=target)
    assert isinstance(again, list)
    assert all(again)
    assert len(server.received) == (1 if error else 0)
    if is_streamed and error:
        assert "".join(heard) == again[1]


def test_the_table_has_every_form() -> None:
    taken = [param.values for param in CHOSEN]
    assert {values[0] for values in taken} == set(FAULTS)
    assert len({values[1] for values in taken}) == len(MODELS) * 4
    assert ERRORS.keys() <= FAULTS.keys()
