"""What a hit of the cache costs: at hand, recorded in a run, and in Redis beside a bare GET."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import surefoot
from benchmarks.harness import PROJECT, Contender, Ratio, Report, Sample, interleaved, version_of
from surefoot import App, Call, flow, generate, scope
from surefoot.config import load
from surefoot.effects import drive, drive_async
from surefoot.limits import AnswerCache, RedisAnswers
from surefoot.limits.cache import Sought
from surefoot.models.chain.caching import Lookup, looked_up, place_of
from surefoot.models.chain.record import Answer
from surefoot.models.sdk.chained import OUTSIDE
from surefoot.scope import Ending, Work
from surefoot.values import CachedAnswer, CacheRow
from surefoot.wiring import sealing_of

ROUNDS = 9
HITS = 500
AT_ONCE = 50
# Microseconds of CPU.
AT_HAND, RECORDED = 60.0, 150.0
OF_A_GET = 2.0

SAID = "It depends on the weather, on the harbour and on the crew. " * 10
ASKED = [
    {"role": "system", "content": "You answer in one paragraph. " * 10},
    {"role": "user", "content": "What are the key risks of this voyage?"},
]
BODY: dict[str, Any] = {"model": "gpt-4o", "messages": ASKED, "temperature": 0.9}
RECORD: dict[str, object] = Answer(
    200,
    {"content-type": "application/json"},
    (
        '{"id":"1","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop",'
        f'"message":{{"role":"assistant","content":"{SAID}"}}}}],'
        '"usage":{"prompt_tokens":90,"completion_tokens":120,"total_tokens":210}}'
    ).encode(),
).to_record()
US = 1e6


def run() -> Report:
    """CPU and wall time of a process for each hit; a request of 400 bytes and an answer of 800."""
    with ExitStack() as stack:
        medians = interleaved(list(_contenders(stack)), rounds=ROUNDS)
    rows = [
        [name, f"{sample.cpu * US / HITS:.0f}", f"{sample.wall * US / HITS:.0f}"]
        for name, sample in medians.items()
    ]

    def cpu(name: str) -> float:
        return medians[name].cpu * US / HITS

    return Report(
        name="cache",
        title=f"A hit of the cache, surefoot {version_of(Path(sys.executable), 'surefoot')}",
        columns=["hit", "CPU us", "wall us"],
        rows=rows,
        notes=[
            f"{HITS} hits a round; recorded ones in one run, {AT_ONCE} at a time, on SQLite, synchronous=normal.",
            "At hand: key, look-up and the answer in the form that was asked for.",
            "Recorded: from the claim to the row. generate: all of it, with the request that the key is made of.",
        ],
        ratios=[
            Ratio(f"budget of {AT_HAND:.0f} us, at hand", cpu("at hand") / AT_HAND, 1.0),
            Ratio(f"budget of {RECORDED:.0f} us, recorded", cpu("recorded") / RECORDED, 1.0),
            *(
                [
                    Ratio("bare GET, CPU", cpu("Redis") / cpu("bare GET"), OF_A_GET),
                    Ratio("bare GET, wall", medians["Redis"].wall / medians["bare GET"].wall, OF_A_GET),
                ]
                if "Redis" in medians
                else []
            ),
        ],
    )


def _contenders(stack: ExitStack) -> Iterator[Contender]:
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="surefoot-bench-")))
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_CACHE_TTL": "100000",
        "OPENAI_API_KEY": "k",
        # Nobody listens there: what is not found fails.
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    version = surefoot.__version__ if hasattr(surefoot, "__version__") else ""
    app = App(load(folder, environ=environ))
    stack.callback(app.close)
    stack.enter_context(app.entered())
    keep_at_hand(app)
    yield Contender("at hand", version, partial(at_hand, app))
    yield Contender("recorded", version, partial(recorded, app))
    yield Contender("generate", version, partial(generated, app))
    server = stack.enter_context(redis())
    if server is None:
        return
    shared = App(
        load(folder, environ=environ | {"SUREFOOT_CACHE_STORE": "redis", "SUREFOOT_REDIS_URL": server})
    )
    stack.callback(shared.close)
    yield Contender("bare GET", "", partial(asked_of_redis, shared, is_bare=True))
    yield Contender("Redis", version, partial(asked_of_redis, shared, is_bare=False))


def keep_at_hand(app: App) -> None:
    """The answer to what both contenders ask, as one that was brought by a call."""
    answers = app.policy.cache
    if not isinstance(answers, AnswerCache):
        raise SystemExit("the cache is off")
    target = app.target("openai:gpt-4o")
    where = f"{target.connection} {place_of(target.place + '/chat/completions')}"
    for one in (lookup("h"), lookup(where)):
        key = answers.digest("", one.content(None))
        answers.memory.keep(key, CachedAnswer(RECORD, "01RUN", 0, 10**15), is_only_here=True)


def lookup(where: str) -> Lookup:
    """What is asked."""
    return Lookup(
        "openai.chat",
        "openai",
        lambda: where,
        "gpt-4o",
        BODY,
        is_events=False,
        wish=True,
        patience=1.0,
        ending=lambda answer: Ending("completed", answer.to_record()),
    )


def at_hand(app: App) -> Sample:
    """Hits outside of a run, where nothing is recorded."""
    work = Work("call", "openai.chat", BODY)

    def one() -> None:
        claim = drive(looked_up(OUTSIDE.claim(work), lookup("h"), app.answers, OUTSIDE))
        if claim.recorded is None:
            raise SystemExit("it was not found")

    return measured(lambda: [one() for _ in range(HITS)])


@flow
async def looking_up() -> None:
    """Hits in a run, so many at a time: from the claim to the row."""
    here, answers = scope.current(), App.current().policy.cache
    if here is None:
        raise SystemExit("no run is open")

    async def one() -> None:
        claim = here.claim(Work("call", "openai.chat", {"path": "chat/completions", "body": BODY}))
        await drive_async(looked_up(claim, lookup("h"), answers, here))

    for _ in range(HITS // AT_ONCE):
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))


@flow(cache=True)
async def asking() -> None:
    """Hits of `generate` in a run, so many at a time."""
    call = Call("openai:gpt-4o", temperature=0.9)
    for _ in range(HITS // AT_ONCE):
        await asyncio.gather(*(generate(ASKED, using=call) for _ in range(AT_ONCE)))


def recorded(app: App) -> Sample:
    """Hits in one run."""
    del app
    return measured(lambda: asyncio.run(_awaited(looking_up)))


def generated(app: App) -> Sample:
    """Hits of `generate` in one run."""
    del app
    return measured(lambda: asyncio.run(_awaited(asking)))


def asked_of_redis(app: App, *, is_bare: bool) -> Sample:
    """Hits in Redis one after the other, or the GET of the same value by the same connection."""
    shared = app.redis
    if shared is None:
        raise SystemExit("there is no Redis")
    store = RedisAnswers(shared, sealing_of(app.keyring))
    key = bytes(32)
    name = shared.key("answer", key.hex())

    async def scene() -> Sample:
        await drive_async(store.keep(CacheRow(key, "", 10**15), CachedAnswer(RECORD, "01RUN", 0, 10**15)))
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in range(HITS):
            if is_bare:
                await shared.run("GET", name)
            elif await drive_async(store.find(Sought(key, "", 10**15))) is None:
                raise SystemExit("it was not found")
        return Sample(time.perf_counter() - begin, time.process_time() - cpu)

    return asyncio.run(scene())


def measured(work: Callable[[], object]) -> Sample:
    """The time of this process."""
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    return Sample(time.perf_counter() - begin, time.process_time() - cpu)


async def _awaited(function: Callable[[], Awaitable[None]]) -> None:
    await function()


@contextmanager
def redis() -> Generator[str | None]:
    """The address of a server that is begun for this; None where there is none to begin."""
    sys.path.insert(0, str(PROJECT / "tests" / "support"))
    from redis_server import binary

    found = binary()
    if found is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory(prefix="surefoot-redis-") as folder:
        child = subprocess.Popen(
            [found, "--port", str(port), "--dir", folder, "--save", "", "--loglevel", "warning"],
            stdout=subprocess.DEVNULL,
        )
        try:
            time.sleep(0.5)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            child.kill()
            child.wait()
