"""Generator steps that stream a model's answer through the official SDKs: left early, failed, killed, replayed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from durable import cut, history, names, opened_app
from surefoot import flow, step
from wire import WireServer

MESSAGES: Any = [{"role": "user", "content": "What are the key risks?"}]
WORDS = 8

events: list[str] = []
fails: list[BaseException] = []
clients: dict[str, Any] = {}


@pytest.fixture(scope="module")
def wire() -> Iterator[WireServer]:
    with WireServer() as server:
        clients.update(
            openai=openai.OpenAI(base_url=server.openai_url, api_key="test"),
            openai_async=lambda: openai.AsyncOpenAI(base_url=server.openai_url, api_key="test"),
            anthropic_async=lambda: anthropic.AsyncAnthropic(base_url=server.anthropic_url, api_key="test"),
        )
        yield server


@pytest.fixture(autouse=True)
def other_answers(wire: WireServer) -> None:
    """Each call has another answer: what is replayed, and what was asked anew, shows."""
    numbers = itertools.count()

    def reply(_model: str, _asked: str) -> str:
        number = next(numbers)
        return " ".join(f"{number}.{word}" for word in range(WORDS))

    wire.reply = reply
    wire.received.clear()
    events.clear()
    fails.clear()


@step
def prepare() -> str:
    events.append("prepare")
    return "prepared"


@step
def said() -> Iterator[str]:
    prepare()
    stream = clients["openai"].chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    for chunk in stream:
        if chunk.choices and (text := chunk.choices[0].delta.content):
            yield text


@step
async def said_async() -> AsyncIterator[str]:
    prepare()
    async with clients["openai_async"]() as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text


@step
async def said_by_anthropic() -> AsyncIterator[str]:
    prepare()
    async with (
        clients["anthropic_async"]() as client,
        client.messages.stream(model="claude-sonnet-5", max_tokens=50, messages=MESSAGES) as stream,
    ):
        async for text in stream.text_stream:
            yield text


@step(pure=True)
def show(number: int, text: str) -> str:
    """A restarted answer has other words: what is done with each of them has to be harmless."""
    if number == 3 and fails:
        raise fails.pop()
    events.append(text)
    return text


@flow
def blocking(limit: int = 100) -> str:
    shown: list[str] = []
    for text in said():
        shown.append(show(len(shown), text))
        if len(shown) == limit:
            break
    return f"{prepare()} {''.join(shown)}"


@flow
async def awaited(limit: int = 100) -> str:
    shown: list[str] = []
    async for text in said_async():
        shown.append(show(len(shown), text))
        if len(shown) == limit:
            break
    return f"{prepare()} {''.join(shown)}"


@flow
async def closed(limit: int = 100) -> str:
    shown: list[str] = []
    async with aclosing(said_by_anthropic()) as texts:  # type: ignore[type-var]
        async for text in texts:
            shown.append(show(len(shown), text))
            if len(shown) == limit:
                break
    return f"{prepare()} {''.join(shown)}"


FLOWS = pytest.mark.parametrize("target", [blocking, awaited, closed], ids=lambda target: target.spec.name)


def answer_of(number: int) -> str:
    return "prepared " + " ".join(f"{number}.{word}" for word in range(WORDS))


@FLOWS
def test_killed_after_any_outcome(tmp_path: Path, wire: WireServer, target: Any) -> None:
    with opened_app(tmp_path / "whole") as app:
        whole = app.run(target)
        source, recorded = Path(app.ledger.where), names(app)
        links = history(app)
    assert whole == answer_of(0)
    calls = [index for index, link in enumerate(links) if link.outcome.kind == "call"]
    for kept in range(1, len(links)):
        cut(source, tmp_path / f"after-{kept}", kept)
        wire.received.clear()
        events.clear()
        with opened_app(tmp_path / f"after-{kept}") as app:
            result = app.resume("last", flow=target)
            assert app.ledger.first_break(app.ledger.run("last").id) is None
            again = names(app)
        is_recorded = kept > calls[0]
        assert len(wire.received) == (0 if is_recorded else 1)
        if is_recorded:
            assert result == whole
            assert sorted(again) == sorted(recorded)
        else:
            # The answer is another one, and what was shown of the first was shown in vain.
            assert result != whole


@FLOWS
def test_left_early_and_replayed(tmp_path: Path, wire: WireServer, target: Callable[..., Any]) -> None:
    with opened_app(tmp_path / "whole") as app:
        whole = app.run(target, {"limit": 4})  # type: ignore[arg-type]
        source, rows = Path(app.ledger.where), len(history(app))
    assert len(str(whole)) < len(answer_of(0))
    for kept in (rows - 2, rows - 1):
        cut(source, tmp_path / f"after-{kept}", kept)
        wire.received.clear()
        events.clear()
        with opened_app(tmp_path / f"after-{kept}") as app:
            assert app.resume("last", flow=target) == whole  # type: ignore[arg-type]
        assert wire.received == []


@FLOWS
def test_a_reader_that_fails_hears_all_of_it_in_the_end(
    tmp_path: Path, wire: WireServer, target: Any
) -> None:
    """The half of an answer that was read is no outcome: the call is made again, what came before it is not."""
    fails.append(ConnectionError("the browser is gone"))
    with opened_app(tmp_path) as app:
        with pytest.raises(Exception, match="browser is gone"):
            app.run(target)
        assert [link.outcome.kind for link in history(app)].count("call") == 0
        events.clear()
        result = app.resume("last", flow=target)
        assert app.ledger.first_break(app.ledger.run("last").id) is None
    assert len(wire.received) == 2
    assert result == answer_of(1)
    assert events.count("prepare") == 1  # that at the end: the one before the call is recorded


def test_a_reader_that_is_cancelled_between_two_items(tmp_path: Path, wire: WireServer) -> None:
    """As a web framework does with the handler of a client that has gone."""
    is_slow = [True]

    @flow
    async def streaming() -> str:
        texts: list[str] = []
        async with aclosing(said_async()) as stream:  # type: ignore[type-var]
            async for text in stream:
                texts.append(text)
                if len(texts) == 2 and is_slow:
                    task = asyncio.current_task()
                    assert task is not None
                    asyncio.get_running_loop().call_soon(task.cancel)
                    await asyncio.sleep(5)
        return "".join(texts)

    with opened_app(tmp_path) as app:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(streaming())
        run = app.ledger.run("last")
        assert (run.status, run.lease_until_ns) == ("running", 0)
        assert names(app) == ["prepare"]
        is_slow.clear()
        assert f"prepared {app.resume(run.id, flow=streaming)}" == answer_of(1)
    assert len(wire.received) == 2
    assert events == ["prepare"]
