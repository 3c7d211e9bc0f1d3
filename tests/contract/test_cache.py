"""The cache of answers, on each store: who is answered from it, who makes the call, and what is never given again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anthropic
import openai
import orjson
import pytest
from google import genai
from google.genai import types as genai_types

from durable import history
from redis_server import RedisServer, redis_server, redis_session
from surefoot import App, Call, Case, Dataset, Reply, embed, evaluate, flow, generate
from surefoot.config import load
from surefoot.effects import drive
from surefoot.errors import RequestRefused, UsageError
from surefoot.limits.cache.store import Sought
from surefoot.models.chain.caching import Lookup
from surefoot.models.chain.record import Answer
from surefoot.models.generating.asking import Turn
from surefoot.models.wires import written
from surefoot.models.wires.forms import in_form, may_be_given_again
from surefoot.scope import Ending
from surefoot.values import CachedAnswer, CachedChoice, CacheRow, Money, RunTags, Usage
from wire import Fault, WireServer

__all__ = ["redis_server", "redis_session"]

# A text of the module, which its flows trust.
QUESTION = "What are the risks?"
ASKED = [{"role": "user", "content": QUESTION}]
SAID = f"gpt-4o heard: {QUESTION}"


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    with WireServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("OPENAI_API_KEY", "key-of-a-test")
        yield server


@dataclass
class Shop:
    """A store, and apps on it. Each app that is opened knows of the others by the store alone, as processes do."""

    kind: str
    folder: Path
    environ: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)

    def open(self, **settings: object) -> App:
        given = {f"SUREFOOT_{name.upper()}": str(value) for name, value in settings.items()}
        app = App(load(self.folder, environ=self.environ | given))
        self.stack.callback(app.close)
        return app


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, wire: WireServer) -> Iterator[Shop]:
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_RUNS_STRICT": "true",
        "OPENAI_BASE_URL": wire.openai_url,
        "OPENAI_API_KEY": "key-of-a-test",
    }
    if request.param == "postgres":
        environ["SUREFOOT_LEDGER_URL"] = request.getfixturevalue("postgres_url")
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        environ |= {"SUREFOOT_CACHE_STORE": "redis", "SUREFOOT_REDIS_URL": server.url}
    shop = Shop(request.param, tmp_path, environ)
    with shop.stack:
        yield shop


@pytest.fixture
def app(shop: Shop) -> Iterator[App]:
    app = shop.open()
    with app.entered():
        yield app


@flow(cache=True)
def asking(temperature: float = 0.9, model: str = "openai:gpt-4o") -> Reply[str]:
    return generate.sync(ASKED, Reply[str], using=Call(model, temperature=temperature))


@flow(cache=True)
async def asking_async(temperature: float = 0.9) -> str:
    return await generate(ASKED, using=Call("openai:gpt-4o", temperature=temperature))


@flow
def not_asking() -> str:
    return generate.sync(ASKED, using="openai:gpt-4o")


def calls_of(app: App, run_id: str = "last") -> list[Any]:
    return [link.outcome for link in history(app, run_id) if link.outcome.kind == "call"]


# What is given again


def test_the_same_query_and_context_call_the_model_once(app: App, wire: WireServer) -> None:
    first = asking()
    origin = app.ledger.run("last").id
    again = asking()
    assert (first.value, again.value) == (SAID, SAID)
    assert wire.count() == 1
    assert first.cost is not None
    assert first.cost > Money(0)
    assert again.cost == Money(0)
    (call,) = calls_of(app)
    assert call.is_cached
    assert call.call.cost == Money(0)
    assert app.ledger.run("last").totals.usage.total == 0
    recorded = Answer.from_record(_decoded(app, call))
    assert recorded is not None
    assert recorded.cached_from == origin
    (spent,) = app.costs(by="model").rows
    assert (spent.calls, spent.cached) == (2, 1)


def test_async_flows_and_blocking_ones_share(app: App, wire: WireServer) -> None:
    asking()
    assert asyncio.run(_awaited(asking_async)) == SAID
    assert wire.count() == 1
    assert [call.is_cached for call in calls_of(app)] == [True]


def test_another_process_finds_what_this_one_has_kept(shop: Shop, wire: WireServer) -> None:
    for _ in range(2):
        with shop.open().entered():
            asking()
    assert wire.count() == 1


def test_what_nobody_asked_to_keep_is_asked_for_each_time(app: App, wire: WireServer) -> None:
    not_asking()
    not_asking()
    assert wire.count() == 2


@pytest.mark.parametrize("change", [{"temperature": 0.1}, {"model": "openai:gpt-4o-mini"}])
def test_another_request_is_another_call(app: App, wire: WireServer, change: dict[str, Any]) -> None:
    asking()
    app.run(asking, change)
    assert wire.count() == 2


def test_a_resumed_run_takes_its_record_and_not_the_cache(app: App, wire: WireServer) -> None:
    asking()
    asking()
    run = app.ledger.run("last")
    assert app.resume(run.id) is not None
    assert wire.count() == 1
    assert len(calls_of(app, run.id)) == 1


def test_tenants_do_not_share(app: App, wire: WireServer) -> None:
    for tenant in ("a", "b", "a"):
        app.run(asking, tags=RunTags(tenant=tenant))
    assert wire.count() == 2


def test_an_answer_is_given_again_for_its_time_only(shop: Shop, wire: WireServer) -> None:
    @flow(cache=0.05)
    def briefly() -> str:
        return generate.sync(ASKED, using="openai:gpt-4o")

    with shop.open().entered():
        briefly()
        threading.Event().wait(0.1)
        briefly()
    assert wire.count() == 2
    # Whoever wants it younger than it is has it made anew; whoever does not takes what is there.
    with shop.open().entered():
        asking(temperature=0.3)
        threading.Event().wait(0.1)
        app = App.current()
        app.run(asking, {"temperature": 0.3})
    assert wire.count() == 3


def test_a_changed_prompt_is_asked_anew(shop: Shop, wire: WireServer) -> None:
    prompts = shop.folder / "prompts"
    prompts.mkdir()
    text = "---\nname: risks\ncache: true\nmodel:\n  id: openai:gpt-4o\n---\nuser:\nWhat are the risks?{# %s #}\n"
    for remark in ("one", "one", "two"):
        (prompts / "risks.prompty").write_text(text % remark)
        with shop.open().entered():

            @flow
            def prompted() -> str:
                return generate.sync("risks")

            assert prompted() == SAID
    # The texts that were sent are the same: it is the prompt's digest that differs.
    assert wire.count() == 2


def test_embeddings_are_kept(app: App, wire: WireServer) -> None:
    @flow
    def embedding() -> list[tuple[float, ...]]:
        return embed.sync(["one", "two"], using="openai:text-embedding-3-small", cache=True)

    assert embedding() == embedding()
    assert wire.count() == 1


# Who says so


@pytest.mark.parametrize(
    ("calls", "of_flow", "of_call", "temperature", "is_kept"),
    [
        ("asked", None, None, 0.0, False),
        ("asked", True, None, 0.9, True),
        ("asked", True, False, 0.9, False),
        ("asked", None, True, 0.9, True),
        ("asked", False, 60, 0.9, True),
        ("deterministic", None, None, 0.0, True),
        ("deterministic", None, None, 0.9, False),
        ("deterministic", False, None, 0.0, False),
        ("all", None, None, 0.9, True),
        ("all", None, False, 0.9, False),
        ("none", True, True, 0.0, False),
    ],
)
def test_the_nearest_word_counts(
    tmp_path: Path,
    wire: WireServer,
    *,
    calls: str,
    of_flow: bool | None,
    of_call: bool | float | None,
    temperature: float,
    is_kept: bool,
) -> None:
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_CACHE_CALLS": calls,
        "OPENAI_BASE_URL": wire.openai_url,
        "OPENAI_API_KEY": "key-of-a-test",
    }

    @flow(cache=of_flow)
    def saying() -> str:
        return generate.sync(ASKED, using=Call("openai:gpt-4o", temperature=temperature, cache=of_call))

    app = App(load(tmp_path, environ=environ))
    with app.entered():
        saying()
        saying()
    app.close()
    assert wire.count() == (1 if is_kept else 2)


@pytest.mark.parametrize("wish", [0, -1, float("inf"), "yes"])
def test_a_wish_that_is_none_is_refused(wish: Any) -> None:
    with pytest.raises(UsageError, match="cache"):
        Call("openai:gpt-4o", cache=wish)
    with pytest.raises(UsageError, match="cache"):
        flow(cache=wish)(lambda: None)


# Streams, and SDK clients


@dataclass(frozen=True)
class Form:
    """A client that asks the same in both forms; what each says."""

    whole: Callable[[WireServer], str]
    streamed: Callable[[WireServer], str]


_clients = ExitStack()


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    with _clients:
        yield


def _openai(wire: WireServer) -> openai.OpenAI:
    return _clients.enter_context(openai.OpenAI(base_url=wire.openai_url, api_key="k", max_retries=0))


def _anthropic(wire: WireServer) -> anthropic.Anthropic:
    client = anthropic.Anthropic(base_url=wire.anthropic_url, api_key="k", max_retries=0)
    return _clients.enter_context(client)


def _chat(wire: WireServer) -> str:
    said = _openai(wire).chat.completions.create(model="gpt-4o", messages=ASKED)  # type: ignore[call-overload]
    assert said.usage.prompt_tokens > 0
    return str(said.choices[0].message.content)


def _chat_streamed(wire: WireServer) -> str:
    stream = _openai(wire).chat.completions.create(model="gpt-4o", messages=ASKED, stream=True)  # type: ignore[call-overload]
    # One who did not ask for the chunk of the usage does not get it: it has no choices.
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def _chat_counted(wire: WireServer) -> str:
    stream = _openai(wire).chat.completions.create(
        model="gpt-4o", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )  # type: ignore[call-overload]
    chunks = list(stream)
    assert chunks[-1].usage.prompt_tokens > 0
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def _responses(wire: WireServer) -> str:
    return _openai(wire).responses.create(model="gpt-4o", input="What now?").output_text


def _responses_streamed(wire: WireServer) -> str:
    with _openai(wire).responses.stream(model="gpt-4o", input="What now?") as stream:
        stream.until_done()
        return stream.get_final_response().output_text


def _messages(wire: WireServer) -> str:
    client = _anthropic(wire)
    said: Any = client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=ASKED)  # type: ignore[arg-type]
    return str(said.content[0].text)


def _messages_streamed(wire: WireServer) -> str:
    client = _anthropic(wire)
    with client.messages.stream(model="claude-sonnet-5", max_tokens=50, messages=ASKED) as stream:  # type: ignore[arg-type]
        return stream.get_final_text()


def _gemini_client(wire: WireServer) -> genai.Client:
    client = genai.Client(api_key="k", http_options=genai_types.HttpOptions(base_url=wire.gemini_url))
    return _clients.enter_context(client)


def _gemini(wire: WireServer) -> str:
    client = _gemini_client(wire)
    said = client.models.generate_content(model="gemini-2.5-flash", contents="What now?")
    return str(said.text)


def _gemini_streamed(wire: WireServer) -> str:
    client = _gemini_client(wire)
    stream = client.models.generate_content_stream(model="gemini-2.5-flash", contents="What now?")
    return "".join(chunk.text or "" for chunk in stream)


def _generated(wire: WireServer) -> str:
    return generate.sync(ASKED, using="openai:gpt-4o")


def _generated_streamed(wire: WireServer) -> str:
    pieces: list[str] = []
    said = generate.sync(ASKED, using=Call("openai:gpt-4o", stream=pieces.append))
    assert len(pieces) > 1
    assert "".join(pieces) == said
    return said


FORMS = {
    "chat": Form(_chat, _chat_streamed),
    "chat counted": Form(_chat, _chat_counted),
    "responses": Form(_responses, _responses_streamed),
    "messages": Form(_messages, _messages_streamed),
    "gemini": Form(_gemini, _gemini_streamed),
    "generate": Form(_generated, _generated_streamed),
}


@pytest.fixture
def alone(tmp_path: Path, wire: WireServer) -> Iterator[App]:
    """An app on a ledger in a file, for what is the same on all stores."""
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_RUNS_STRICT": "true",
        "OPENAI_BASE_URL": wire.openai_url,
        "OPENAI_API_KEY": "key-of-a-test",
    }
    app = App(load(tmp_path, environ=environ))
    with app.entered():
        yield app
    app.close()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("order", ["whole first", "stream first"])
def test_a_stream_and_an_answer_at_once_share(alone: App, wire: WireServer, form: Form, order: str) -> None:
    first, second = form.whole, form.streamed
    if order == "stream first":
        first, second = second, first

    @flow(cache=True)
    def both() -> list[str]:
        return [first(wire), second(wire), first(wire), second(wire)]

    said = both()
    assert len(set(said)) == 1
    assert said[0]
    # A stream whose tokens nobody asked for does not say what an answer at once has to say.
    is_silent = form is FORMS["chat"] and order == "stream first"
    assert wire.count() == (2 if is_silent else 1)
    assert [call.is_cached for call in calls_of(alone)] == [False, not is_silent, True, True]


def test_a_stream_is_given_again_byte_for_byte(alone: App, wire: WireServer) -> None:
    @flow(cache=True)
    def streaming() -> bytes:
        with _openai(wire).chat.completions.with_streaming_response.create(
            model="gpt-4o", messages=ASKED, stream=True
        ) as response:  # type: ignore[call-overload]
            return b"".join(response.iter_bytes())

    assert streaming() == streaming()
    assert wire.count() == 1
    assert alone.ledger.run("last").totals.cost == Money(0)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("openai.chat", {"choices": [{"index": n, "message": {"content": "x"}} for n in range(2)]}),
        (
            "openai.chat",
            {"choices": [{"index": 0, "message": {"content": "x", "annotations": [{"type": "url"}]}}]},
        ),
        ("openai.responses", {"output": [{"type": "web_search_call", "id": "ws_1"}]}),
        ("anthropic.messages", {"content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}),
        (
            "google.generate_content",
            {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}}]},
        ),
    ],
)
def test_what_the_other_form_cannot_say_is_not_rewritten(operation: str, change: dict[str, Any]) -> None:
    said = written(operation, Turn("yes", id="1", model="m"), Usage(3, 0, 2))
    plain = _answer(said.body)
    assert in_form(operation, plain, is_events=True) is not None
    odd = _answer({**said.body, **change})
    assert in_form(operation, odd, is_events=True) is None
    assert in_form(operation, odd, is_events=False) is odd


def test_a_stream_that_is_still_open_is_not_waited_for_by_its_own_reader(
    alone: App, wire: WireServer
) -> None:
    @flow(cache=True)
    def twice() -> int:
        first = _openai(wire).chat.completions.create(model="gpt-4o", messages=ASKED, stream=True)  # type: ignore[call-overload]
        second = _openai(wire).chat.completions.create(model="gpt-4o", messages=ASKED, stream=True)  # type: ignore[call-overload]
        return len(list(zip(first, second, strict=True)))

    assert twice() > 1
    assert wire.count() == 2
    assert twice() > 1
    assert wire.count() == 2


# What is not given again


def _status(wire: WireServer) -> None:
    wire.fail(Fault(status=400))


def _cut(wire: WireServer) -> None:
    wire.fail(Fault(kind="cut"))


def _error_object(wire: WireServer) -> None:
    wire.fail(Fault(kind="error_object"))


@pytest.mark.parametrize("fault", [_status, _cut, _error_object])
def test_a_failure_is_not_kept(alone: App, wire: WireServer, fault: Callable[[WireServer], None]) -> None:
    assert alone.policy.cache is not None
    fault(wire)
    with pytest.raises(Exception):  # noqa: B017, PT011 - of whatever kind
        asking()
    made = wire.count()
    assert asking().value == SAID
    assert wire.count() == made + 1


@pytest.mark.parametrize(
    ("finish", "refusal", "is_kept"),
    [("stop", "", True), ("length", "", True), ("filter", "", False), ("stop", "no", False)],
)
def test_which_ends_are_kept(finish: Any, refusal: str, *, is_kept: bool) -> None:
    for operation in ("openai.chat", "openai.responses", "anthropic.messages", "google.generate_content"):
        turn = Turn("" if refusal else "half", finish, refusal=refusal)
        said = written(operation, turn, Usage(3, 0, 2))
        whole = _answer(said.body)
        assert may_be_given_again(operation, whole) is is_kept, operation


@pytest.mark.parametrize("drop", ["prune", "forget"])
def test_what_was_pruned_or_forgotten_is_asked_for_again(shop: Shop, wire: WireServer, drop: str) -> None:
    if shop.kind == "redis":
        pytest.skip("what Redis holds has its own time")
    first = shop.open()
    with first.entered():
        asking()
    run = first.ledger.run("last")
    statement = (
        "UPDATE outcomes SET output_view = NULL, output_sealed = NULL WHERE kind = 'call'"
        if drop == "prune"
        else "DELETE FROM outcomes WHERE kind = 'call'"
    )
    _execute(shop, statement)
    with shop.open().entered():
        asking()
    assert run.id
    assert wire.count() == 2


def test_what_cannot_be_known_twice_is_not_looked_up() -> None:
    body = {"model": "m", "input": "x"}
    assert not _lookup(body).is_stateful
    assert _lookup(body | {"conversation": "conv_1"}).is_stateful


# One call for all that ask at once


def test_of_all_that_ask_at_once_one_calls(app: App, wire: WireServer) -> None:
    wire.delay = 0.2

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(asking_async() for _ in range(30)))

    assert set(asyncio.run(all_at_once())) == {SAID}
    assert wire.count() == 1


def test_threads_and_tasks_wait_for_one_another(alone: App, wire: WireServer) -> None:
    wire.delay = 0.2
    said: list[str] = []

    def in_thread() -> None:
        with alone.entered():
            said.append(asking().value)

    threads = [threading.Thread(target=in_thread) for _ in range(5)]
    for thread in threads:
        thread.start()
    said += asyncio.run(_gathered(5))
    for thread in threads:
        thread.join()
    assert said == [SAID] * 10
    assert wire.count() == 1


def test_when_the_leader_fails_one_of_the_others_leads(app: App, wire: WireServer) -> None:
    wire.delay = 0.1
    wire.fail(Fault(status=400))

    async def all_at_once() -> list[object]:
        return await asyncio.gather(*(asking_async() for _ in range(20)), return_exceptions=True)

    said = asyncio.run(all_at_once())
    assert sum(isinstance(one, RequestRefused) for one in said) == 1
    assert said.count(SAID) == 19
    assert wire.count() == 2


def test_a_waiter_is_cancelled_alone_and_a_cancelled_leader_hands_over(app: App, wire: WireServer) -> None:
    wire.delay = 0.3

    async def scene() -> list[object]:
        leader = asyncio.create_task(asking_async())
        await _asked(wire)
        waiters = [asyncio.create_task(asking_async()) for _ in range(5)]
        await asyncio.sleep(0.1)
        waiters[0].cancel()
        await asyncio.sleep(0.05)
        assert not leader.done()
        leader.cancel()
        return await asyncio.gather(leader, *waiters, return_exceptions=True)

    said = asyncio.run(scene())
    assert [type(one) for one in said[:2]] == [asyncio.CancelledError] * 2
    assert said[2:] == [SAID] * 4
    assert wire.count() == 2
    assert app.answers is not None
    assert len(app.answers.gates) == 0


def test_a_waiter_keeps_its_own_deadline(alone: App, wire: WireServer) -> None:
    cache = alone.answers
    assert cache is not None
    wire.delay = 0.6

    @flow(cache=True, deadline=0.2)
    async def hasty() -> str:
        return await generate(ASKED, using=Call("openai:gpt-4o", temperature=0.9))

    async def scene() -> list[object]:
        leader = asyncio.create_task(asking_async())
        await _asked(wire)
        return await asyncio.gather(leader, hasty(), return_exceptions=True)

    said = asyncio.run(scene())
    assert said[0] == SAID
    assert isinstance(said[1], Exception)
    assert wire.count() == 1


def test_outside_of_runs_answers_are_those_of_this_process(alone: App, wire: WireServer) -> None:
    call = Call("openai:gpt-4o", temperature=0.9, cache=True)
    assert generate.sync(ASKED, using=call) == generate.sync(ASKED, using=call) == SAID
    assert wire.count() == 1
    assert alone.ledger.runs() == []


# Whatever fails, the call is made


def test_a_store_that_fails_is_gone_without(
    shop: Shop, wire: WireServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if shop.kind == "redis":
        shop.environ["SUREFOOT_REDIS_URL"] = "redis://127.0.0.1:9/0"
    app = shop.open()
    if shop.kind != "redis":
        with app.entered():
            not_asking()
        _execute(shop, "DROP TABLE flights")
    with app.entered():
        for temperature in (0.1, 0.2):
            app.run(asking, {"temperature": temperature})
    said = [
        record
        for record in caplog.records
        if record.name == "surefoot.limits" and record.levelname == "WARNING"
    ]
    assert len(said) == 1
    assert wire.count() == (2 if shop.kind == "redis" else 3)


def test_an_evaluation_asks_the_models_themselves(alone: App, wire: WireServer) -> None:
    assert alone.answers is not None
    asking()
    dataset = Dataset("risks", [Case("one", {"temperature": 0.9})])
    for _ in range(2):
        row = evaluate(asking, dataset, []).rows[0]
        assert row.status == "completed"
        assert row.totals.cost > Money(0)
    assert wire.count() == 3


# What is shown and cleared


def test_answers_are_counted_and_cleared(shop: Shop, wire: WireServer) -> None:
    app = shop.open()
    with app.entered():
        for temperature in (0.1, 0.2):
            app.run(asking, {"temperature": temperature})
    answers = app.answers
    assert answers is not None
    (count,) = drive(answers.counts())
    assert (count.flow, count.prompt, count.answers, count.expired) == ("asking", "", 2, 0)
    assert count.bytes > 0
    assert drive(answers.clear(CachedChoice(flow="another"))) == 0
    assert drive(answers.clear(CachedChoice(older_ns=10**15))) == 0
    assert drive(answers.clear(CachedChoice(flow="asking"))) == 2
    assert drive(answers.counts()) == []
    with app.entered():
        app.run(asking, {"temperature": 0.1})
    assert wire.count() == 3


def test_what_has_expired_is_dropped_by_whoever_asks_next(shop: Shop, wire: WireServer) -> None:
    @flow(cache=0.05)
    def briefly() -> str:
        return generate.sync(ASKED, using="openai:gpt-4o")

    app = shop.open()
    with app.entered():
        briefly()
    threading.Event().wait(0.1)
    app = shop.open()
    with app.entered():
        asking(temperature=0.3)
        run_id = app.ledger.run("last").id
        asking(temperature=0.3)
    assert app.answers is not None
    kept = [(count.flow, count.answers, count.expired) for count in drive(app.answers.counts())]
    assert kept == [("asking", 1, 0)]
    # And what is given again says whose it was.
    assert any(line.detail.endswith(f"cached from run {run_id}") for line in app.card("last").lines)


# The stores themselves


def test_a_lease_is_taken_once_and_ends(shop: Shop) -> None:
    store = _store(shop)
    sought = Sought(b"k" * 32, "", 10**12)
    second = 10**9
    assert drive(store.lead(sought, "one", 60 * second)) == "led"
    assert drive(store.lead(sought, "two", 60 * second)) == "busy"
    store.leave(b"k" * 32, "two")  # which does not have it
    drive(store.renew([(b"k" * 32, "one")], 60 * second))
    assert drive(store.lead(sought, "two", 60 * second)) == "busy"
    drive(store.renew([(b"k" * 32, "one")], 1_000_000))
    threading.Event().wait(0.05)
    assert drive(store.lead(sought, "two", 60 * second)) == "led"


def test_sealed_answers_open_under_their_own_key_only(redis_server: RedisServer, shop: Shop) -> None:
    if shop.kind != "redis":
        pytest.skip("the ledger seals what it holds itself")
    store = _store(shop)
    record: dict[str, object] = {"status": 200, "headers": {}, "body": "a secret " * 200}
    drive(store.keep(CacheRow(b"a" * 32, "", 10**12), CachedAnswer(record, "RUN", 0, 0)))
    found = drive(store.find(Sought(b"a" * 32, "", 10**12)))
    assert found is not None
    assert (found.record, found.run_id) == (record, "RUN")
    redis = shop.stack.enter_context(_Raw(redis_server))
    (name,) = redis.ask("KEYS", "*answer*")
    value = redis.ask("GET", name.decode())
    assert b"secret" not in value
    redis.ask("SET", name.decode().replace("61" * 32, "62" * 32), value)
    with pytest.raises(Exception, match="does not open"):
        drive(store.find(Sought(b"b" * 32, "", 10**12)))


def test_a_key_is_the_same_for_the_same_request_only() -> None:
    def content(body: dict[str, Any], **rest: Any) -> bytes:
        return _lookup(body, **rest).content(None)

    body = {"model": "m", "temperature": 1, "messages": [{"role": "user", "content": "x"}]}
    assert content(body) == content({**body, "temperature": 1.0, "stream": True, "stream_options": {}})
    assert content(body) == content(dict(reversed(body.items())))
    others = [
        {**body, "seed": 1},
        {**body, "temperature": 1.1},
        {**body, "n": 2},
        {**body, "max_tokens": 2**70},
    ]
    assert len({content(body), *map(content, others)}) == 5
    assert content(body) != content(body, where="i")
    assert content(body) != content(body, model="n")


def _lookup(body: dict[str, Any], **rest: Any) -> Lookup:
    where = rest.pop("where", "h")
    given: dict[str, Any] = {"operation": "openai.chat", "provider": "openai", "model": "m"}
    return Lookup(
        where=lambda: where,
        **(given | rest),
        body=body,
        is_events=False,
        wish=None,
        patience=1,
        ending=_no_ending,
    )


def _no_ending(_: Answer) -> Ending:
    raise AssertionError


class _Raw:
    """A connection of the test's own."""

    def __init__(self, server: RedisServer) -> None:
        import redis

        self._client = redis.Redis(port=server.port)

    def ask(self, *command: Any) -> Any:
        return self._client.execute_command(*command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def _store(shop: Shop) -> Any:
    app = shop.open()
    # The tables are made by the first write.
    from surefoot.ledger import Note

    app.ledger.submit(Note([])).wait()
    assert app.answers is not None
    return app.answers._store


def _execute(shop: Shop, statement: str) -> None:
    if shop.kind == "postgres":
        import postgres

        postgres.execute(shop.environ["SUREFOOT_LEDGER_URL"], statement, search_path="surefoot")
        return
    import sqlite3

    with sqlite3.connect(shop.folder / ".surefoot" / "ledger.db", isolation_level=None) as connection:
        connection.execute(statement)
    connection.close()


def _decoded(app: App, outcome: Any) -> object:
    from surefoot.ledger import decode

    return decode(app.ledger.exact(outcome.run_id, outcome.output))


def _answer(body: object) -> Answer:
    return Answer(200, {"content-type": "application/json"}, orjson.dumps(body))


async def _asked(wire: WireServer) -> None:
    """A call has arrived."""
    for _ in range(3_000):
        if wire.count():
            return
        await asyncio.sleep(0.01)


async def _awaited(function: Callable[[], Any]) -> Any:
    return await function()


async def _gathered(count: int) -> list[str]:
    return await asyncio.gather(*(asking_async() for _ in range(count)))
