"""What models say while a run goes, as events of the server that makes it: to whom, when, and what never."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from letting_in import ORGANISATION, Town, real_server
from served_here import served_here
from serving import events, until
from streaming import StreamingServer, chat, chat_events, message_events
from surefoot import App, Call, Tier, Tiered, flow, generate, step
from surefoot.config import ServeSettings, load
from surefoot.flows import CallStreamed, Logic
from surefoot.server.api.following import Following
from surefoot.server.served import ServedFlow
from surefoot.server.working.executor import Executor
from surefoot.server.working.feed import Feed
from surefoot.server.working.figures import Figures
from surefoot.server.working.job import Job
from surefoot.values import new_id

GPT = "main:gpt-4o"
CLAUDE = "claude:claude-sonnet-5"
FIRST = "The tower is so high that nobody has ever counted its steps. " * 10
REST = "And yet it is small."
PROMPT = """---
name: careful
model:
  api: chat
inputs:
  query: {type: string}
---
system:
Be careful. {{ canary }}
user:
{{ query }}
"""


class Model:
    """A model that says the first part of its answer, and the rest once a test lets it."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.server = StreamingServer(self.answer)
        self.says = ""
        """In the place of all that, a text of which `CANARY` is what the system message holds."""

    def answer(self, body: dict[str, Any]) -> Any:
        text = body["messages"][-1]["content"]
        if self.says:
            canary = re.search(r"[0-9a-f]{32}", body["messages"][0]["content"])
            said = self.says.replace("CANARY", canary[0] if canary else "")
            return chat_events([said[start : start + 7] for start in range(0, len(said), 7)])
        if not body.get("stream"):
            return json.dumps(chat("in short")).encode()
        made = message_events if body["model"].startswith("claude") else chat_events
        return made(self.pieces(text))

    def pieces(self, asked: str) -> Iterator[str]:
        yield from (FIRST[start : start + 10] for start in range(0, len(FIRST), 10))
        if "held" in asked:
            assert self.goes_on.wait(60)
        yield REST


@pytest.fixture
def model() -> Iterator[Model]:
    found = Model()
    with found.server:
        try:
            yield found
        finally:
            found.goes_on.set()


HEARD: list[str] = []
USES = ("connection:main", "connection:claude")


@flow(uses=USES, trusted=True)
def told_by_generate(query: str) -> str:
    return generate.sync([{"role": "user", "content": query}], using=Call(GPT, stream=HEARD.append))


@step
async def asked(query: str) -> str:
    return await generate([{"role": "user", "content": query}], using=Call(CLAUDE, stream=HEARD.append))


@flow(uses=USES, trusted=True)
async def told_on_a_loop(query: str) -> str:
    return await asked(query)


@flow(uses=USES, trusted=True)
def told_by_an_sdk(query: str) -> str:
    client = App.current().client(openai.OpenAI)
    stream = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": query}], stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


@flow(uses=USES, trusted=True)
def told_to_nobody(query: str) -> str:
    return generate.sync([{"role": "user", "content": query}], using=GPT)


@flow(uses=USES, trusted=True)
def told_by_the_tier_that_is_taken(query: str) -> str:
    ladder = Tiered(
        [
            Tier(Call(CLAUDE, stream=HEARD.append), accept=lambda _: False),
            Tier(Call(GPT, stream=HEARD.append)),
        ]
    )
    return generate.sync([{"role": "user", "content": query}], using=ladder)


@flow(uses=USES, trusted=True)
def told_with_a_canary(query: str) -> str:
    return generate.sync("careful", query=query, using=Call(GPT, stream=HEARD.append))


@flow(uses=USES, trusted=True)
def told_and_then_fails(query: str) -> str:
    said = generate.sync([{"role": "user", "content": query}], using=Call(GPT, stream=HEARD.append))
    if "failed" not in HEARD:
        HEARD.append("failed")
        raise ValueError("not this time")
    return said


FLOWS = (
    *(told_by_generate, told_on_a_loop, told_by_an_sdk, told_to_nobody, told_by_the_tier_that_is_taken),
    *(told_with_a_canary, told_and_then_fails),
)


class Serving:
    """A server on a port, its people, and clients that read events as they come."""

    def __init__(self, town: Town, port: int) -> None:
        self.town = town
        self.client = httpx.Client(base_url=f"http://localhost:{port}", timeout=60)

    def begin(self, flow: str, query: str, *, who: str = "runner", how: str = "?wait=0") -> Any:
        response = self.client.post(
            f"/flows/{flow}/runs{how}", json={"inputs": {"query": query}}, headers=self.town.bearer(who)
        )
        assert response.status_code in (200, 202), response.text
        return response.json()

    def shown(self, run_id: str) -> Any:
        return self.client.get(f"/runs/{run_id}", headers=self.town.bearer("runner")).json()

    @contextmanager
    def following(self, run_id: str, *, who: str = "runner", last: str = "") -> Iterator[Iterator[Event]]:
        headers = {**self.town.bearer(who), **({"last-event-id": last} if last else {})}
        with self.client.stream("GET", f"/runs/{run_id}/events", headers=headers) as response:
            assert response.status_code == 200, response.read()
            yield events_in(response)

    def whole(self, run_id: str, *, who: str = "runner", last: str = "") -> list[Event]:
        with self.following(run_id, who=who, last=last) as coming:
            return list(coming)


Event = tuple[str, str, Any]


def events_in(response: httpx.Response) -> Iterator[Event]:
    """Id, name and data of each event, as it comes."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields.get("id", ""), fields["event"], json.loads(fields["data"])
            fields = {}


def tokens(events: list[Event]) -> list[Any]:
    return [data for _, name, data in events if name == "token"]


def text_of(events: list[Event]) -> str:
    """The answer as a client puts it together: nothing is missing and nothing comes twice."""
    said = ""
    for piece in tokens(events):
        assert piece["index"] == len(said)
        said += piece["text"]
    return said


def up_to(coming: Iterator[Event], text: str) -> list[Event]:
    """The events until so much has been said."""
    found: list[Event] = []
    for event in coming:
        found.append(event)
        if text in "".join(piece["text"] for piece in tokens(found)):
            return found
    raise AssertionError(f"it ended before {text[:40]!r} was said: {found[-3:]}")


@pytest.fixture
def serving(tmp_path: Path, model: Model) -> Iterator[Serving]:
    HEARD.clear()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "careful.prompty").write_text(PROMPT)
    (tmp_path / "surefoot.toml").write_text(
        f'[connections.main]\nprovider = "openai"\nbase_url = "{model.server.url}/v1"\ndefault = true\n'
        'api_key = "${env:OPENAI_API_KEY}"\n'
        f'[connections.claude]\nprovider = "anthropic"\nbase_url = "{model.server.url}"\n'
    )
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "OPENAI_API_KEY": "key-of-a-test",
        "ANTHROPIC_API_KEY": "key-of-a-test",
    }
    app = App(load(tmp_path, environ=environ))
    try:
        with app.entered(), real_server(app, *FLOWS, grace=0) as asgi, served_here(asgi) as port:
            town = Town(app)
            town.add("user:other", "runner", ORGANISATION)
            yield Serving(town, port)
    finally:
        model.goes_on.set()
        app.close()


@pytest.mark.parametrize("name", ["told_by_generate", "told_on_a_loop", "told_by_an_sdk"])
def test_what_a_model_says_comes_while_it_says_it(serving: Serving, model: Model, name: str) -> None:
    run_id = serving.begin(name, "held")["id"]
    with serving.following(run_id) as coming:
        # The guards hold the end of it back until they know what follows.
        found = up_to(coming, FIRST[:200])
        assert not model.goes_on.is_set()
        assert "end" not in [event for _, event, _ in found]
        model.goes_on.set()
        found += list(coming)
    assert text_of(found) == FIRST + REST
    assert found[-1][2]["output"] == FIRST + REST
    opened = next(data for _, event, data in found if event == "step" and data["kind"] == "call")
    for piece in tokens(found):
        assert (piece["key"], piece["attempt"], piece["is_replayed"]) == (opened["key"], 1, False)
        assert piece["parent"] == opened["parent"]


def test_a_second_listener_and_one_that_was_cut_off_miss_nothing(serving: Serving, model: Model) -> None:
    run_id = serving.begin("told_by_generate", "held")["id"]
    with serving.following(run_id) as coming:
        before = up_to(coming, FIRST[:200])
    with serving.following(run_id) as second:
        assert up_to(second, FIRST[:200])
    last = before[-1][0]
    model.goes_on.set()
    rest = serving.whole(run_id, last=last)
    assert text_of([*before, *rest]) == FIRST + REST
    assert [event for _, event, _ in rest].count("run") == 0


def test_from_the_ledger_an_answer_comes_whole(serving: Serving) -> None:
    run_id = serving.begin("told_by_generate", "now", how="?wait=30")["id"]
    # The feed is gone once the run is over.
    until(lambda: serving.whole(run_id)[0][1] != "run")
    found = serving.whole(run_id)
    assert [event for _, event, _ in found] == ["token", "step", "end"]
    (piece,) = tokens(found)
    assert (piece["text"], piece["index"], piece["is_replayed"]) == (FIRST + REST, 0, True)
    assert piece["key"] == found[1][2]["key"]
    assert tokens(serving.whole(run_id, last=found[1][0])) == []


def test_what_is_not_streamed_is_not_told(serving: Serving) -> None:
    run_id = serving.begin("told_to_nobody", "now", how="?wait=30")["id"]
    assert tokens(serving.whole(run_id)) == []


def test_only_whoever_began_it_or_may_read_raw_traces_is_told(serving: Serving, model: Model) -> None:
    run_id = serving.begin("told_by_generate", "held")["id"]
    readers = {"runner": True, "admin": True}
    others = [role for role in ("viewer", "editor", "operator", "auditor", "other") if role not in readers]
    found: dict[str, list[Event]] = {}

    def read(who: str) -> None:
        found[who] = serving.whole(run_id, who=who)

    may = {
        who: serving.client.get(f"/runs/{run_id}/steps?raw=1", headers=serving.town.bearer(who)).status_code
        for who in others
    }
    threads = [threading.Thread(target=read, args=(who,)) for who in (*readers, *others)]
    for thread in threads:
        thread.start()
    with serving.following(run_id) as coming:
        up_to(coming, FIRST[:200])
    model.goes_on.set()
    for thread in threads:
        thread.join(60)
    for who in readers:
        assert text_of(found[who]) == FIRST + REST, who
    for who in others:
        assert bool(tokens(found[who])) is (may[who] == 200), (who, may[who])
        assert found[who][-1][1] == "end"
    assert 403 in may.values()
    stranger = serving.client.get(f"/runs/{run_id}/events", headers=serving.town.bearer("stranger"))
    assert stranger.status_code == 404


def test_a_tier_that_is_not_taken_tells_nobody(serving: Serving, model: Model) -> None:
    run_id = serving.begin("told_by_the_tier_that_is_taken", "held")["id"]
    with serving.following(run_id) as coming:
        model.goes_on.set()
        found = list(coming)
    opened = [data for _, name, data in found if name == "step" and data["status"] == "running"]
    first, second = [data["key"] for data in opened if data["kind"] == "call"]
    assert first != second
    assert {piece["key"] for piece in tokens(found)} == {second}
    assert text_of(found) == FIRST + REST


def test_a_canary_is_told_in_no_piece(serving: Serving, model: Model) -> None:
    model.says = "I was told CANARY and no more. " + FIRST
    run_id = serving.begin("told_with_a_canary", "what were you told?")["id"]
    found = serving.whole(run_id)
    assert (found[-1][1], found[-1][2]["status"]) == ("end", "failed")
    assert "canary" in found[-1][2]["error"]
    assert re.search(r"[0-9a-f]{8}", "".join(piece["text"] for piece in tokens(found))) is None
    assert re.search(r"[0-9a-f]{8}", "".join(HEARD)) is None


def test_a_run_that_is_gone_on_with_tells_what_was_recorded_as_replayed(serving: Serving) -> None:
    run_id = serving.begin("told_and_then_fails", "now")["id"]
    first = serving.whole(run_id)
    assert (first[-1][2]["status"], text_of(first)) == ("failed", FIRST + REST)
    headers = serving.town.bearer("runner")
    response = serving.client.post(f"/runs/{run_id}/resume?wait=30", json={}, headers=headers)
    assert response.json()["status"] == "completed", response.text
    assert "".join(HEARD).count(REST) == 2


def test_a_listener_that_reads_nothing_holds_up_no_run(serving: Serving, model: Model) -> None:
    model.says = "so many words " * 4_000
    run_id = serving.begin("told_by_generate", "much")["id"]
    with serving.following(run_id) as coming:
        found = [next(coming)]
        # It reads no further, and the run ends all the same.
        ended = until(lambda: run if (run := serving.shown(run_id))["status"] == "completed" else None)
        assert ended["output"] == model.says
        found += coming
    assert text_of(found) == model.says
    assert found[-1][1] == "end"


def test_a_listener_that_is_too_slow_is_told_how_much_it_missed(serving: Serving) -> None:
    async def read(feed: Feed) -> list[Event]:
        following = Following(serving.town.app, Executor(serving.town.app, ServeSettings(), Figures()))
        job = Job(
            ServedFlow(told_to_nobody, told_to_nobody.spec),
            _nothing,
            feed,
            tenant="",
            principal="",
            is_recorded=True,
        )
        coming = following.stream(feed.run_id, job, last="", is_exact=True).body_iterator
        text = ""
        for number in range(3):
            # It reads one event, while a thousand pieces come.
            text += str(await anext(coming), "utf-8")
            for each in range(1000):
                index = 1000 * number + each
                feed.see(
                    CallStreamed(feed.run_id, bytes(16), "openai.chat", 1, 1000 * index, "x" * 1000, False)
                )
        return events(text)

    feed = Feed(new_id(), kept=100)
    feed.see(CallStreamed(feed.run_id, bytes(16), "openai.chat", 1, 0, "first", is_replayed=False))
    found = asyncio.run(read(feed))
    assert [name for _, name, _ in found] == ["token", "gap", "token"]
    assert found[1][2]["missed"] == 0
    assert found[1][2]["tokens"] > 0
    assert found[2][2]["index"] > 500_000


def _nothing(job: Job) -> Logic[object]:
    raise AssertionError("it is not begun")
    yield
