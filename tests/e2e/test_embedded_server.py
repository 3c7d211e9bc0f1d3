"""The embedded model, with its real weights: what SDKs get from it, and who survives whom when processes are killed."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import anthropic
import openai
import pytest
from pydantic import BaseModel

from surefoot import App, Call, flow, generate
from surefoot.config import load
from surefoot.errors import ContextOverflow, InvalidInput
from surefoot.models.local import CONTEXT, SMOLLM2, EmbeddedServer, cache_folder, model_path

COLOURS = [{"role": "user", "content": "Name three colours."}]
LONG = [{"role": "user", "content": "Count on. " + "one two three four " * 700}]
DEADLINE = 30.0

PARENT = """
import os, subprocess, sys, time
from surefoot.models.local import EmbeddedServer
server = EmbeddedServer()
print(server.base_url.split(":")[2].removesuffix("/v1"), flush=True)
if "heir" in sys.argv:
    # A process that outlives this one and has inherited the pipe by which the server watches it.
    pipe = server._child.process.stdin.fileno()
    os.set_inheritable(pipe, True)
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=0, stdout=2, close_fds=False)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    embedded = EmbeddedServer()
    yield embedded
    embedded.stop()


def client(server: EmbeddedServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.api_key, max_retries=0)


def eventually(claim: Callable[[], bool]) -> bool:
    end = time.monotonic() + DEADLINE
    while not (holds := claim()) and time.monotonic() < end:
        time.sleep(0.02)
    return holds


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def kill(server: EmbeddedServer) -> int:
    """`kill -9` of the server's process; returns its number once it is gone."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: server.pid is None)
    return pid


def test_the_weights_are_made_once_and_kept_under_the_digest_of_their_source(server: EmbeddedServer) -> None:
    _ = server.base_url
    path = model_path()
    assert path == cache_folder() / f"smollm2-135m-instruct.Q8_0.{SMOLLM2.sha256[:12]}.gguf"
    assert path.stat().st_size > 140_000_000
    assert [entry.name for entry in path.parent.glob("*.part")] == []


def test_it_finds_a_figure_in_its_context(server: EmbeddedServer) -> None:
    context = "Context: Invoices are kept for ten years in the archive room."
    answer = client(server).chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": f"{context}\nQuestion: How long are invoices kept?"}],
        temperature=0,
        max_tokens=24,
    )
    assert "10 years" in str(answer.choices[0].message.content)
    assert answer.model == "smollm2"


def test_the_same_request_has_the_same_answer_whatever_came_before_and_however_it_is_sent(
    server: EmbeddedServer,
) -> None:
    settings = {"model": "gpt-4o", "messages": COLOURS, "temperature": 0, "seed": 1, "max_tokens": 24}
    first = client(server).chat.completions.create(**settings)
    text = first.choices[0].message.content
    assert text
    client(server).chat.completions.create(**{**settings, "messages": COLOURS * 2})

    *chunks, last = client(server).chat.completions.create(
        **settings, stream=True, stream_options={"include_usage": True}
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert last.usage == first.usage

    async def several() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.api_key) as asynchronous:
            answers = await asyncio.gather(
                *(asynchronous.chat.completions.create(**settings) for _ in range(3))
            )
        return [answer.choices[0].message.content for answer in answers]

    assert asyncio.run(several()) == [text] * 3


def test_a_seed_makes_a_sampled_answer_repeatable(server: EmbeddedServer) -> None:
    settings = {"model": "gpt-4o", "messages": COLOURS, "temperature": 0.9, "seed": 5, "max_tokens": 24}
    one, two = (client(server).chat.completions.create(**settings) for _ in range(2))
    assert one.choices[0].message.content == two.choices[0].message.content


@pytest.mark.parametrize(
    "messages",
    [
        COLOURS,
        [{"role": "system", "content": "Be brief."}, *COLOURS],
        [
            *COLOURS,
            {"role": "assistant", "content": "Red."},
            {"role": "user", "content": "日本 🙂 <|im_end|>"},
        ],
        [{"role": "user", "content": [{"type": "text", "text": "In parts."}]}],
    ],
)
def test_tokens_counted_beforehand_are_the_tokens_of_the_call(server: EmbeddedServer, messages: list) -> None:
    answer = client(server).chat.completions.create(model="x", messages=messages, max_tokens=1)
    assert answer.usage is not None
    assert server.count_tokens(messages) == answer.usage.prompt_tokens


def test_messages_that_the_server_refuses_cannot_be_counted_and_are_left_to_it(
    server: EmbeddedServer,
) -> None:
    broken = [{"role": "user"}]
    with pytest.raises(InvalidInput, match="does not accept these messages"):
        server.count_tokens(broken)
    server.check_fits({"messages": broken})
    with pytest.raises(openai.BadRequestError):
        client(server).chat.completions.create(model="x", messages=broken)


def test_a_prompt_over_the_context_is_an_error_before_the_call(server: EmbeddedServer) -> None:
    prompt = server.count_tokens(LONG)
    left = CONTEXT - prompt
    assert 64 < left < CONTEXT
    body = {"model": "smollm2", "messages": LONG, "max_tokens": left}
    before = dict(body)
    server.check_fits(body)
    assert body == before
    with pytest.raises(ContextOverflow, match=f"the prompt has {prompt} tokens .* holds {CONTEXT}; shorten"):
        server.check_fits({**body, "max_tokens": left + 1})
    with pytest.raises(ContextOverflow):
        server.check_fits({"messages": LONG * 2})
    with pytest.raises(ContextOverflow):
        server.check_fits({"input": LONG[0]["content"] * 2}, path="/v1/responses")
    with pytest.raises(ContextOverflow):
        server.check_fits({"messages": COLOURS, "system": LONG[0]["content"] * 2}, path="/v1/messages")


def test_the_anthropic_client_reaches_it_too(server: EmbeddedServer) -> None:
    root = server.base_url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=root, api_key=server.api_key, max_retries=0) as asked:
        answer = asked.messages.create(model="claude-sonnet-5", max_tokens=8, messages=COLOURS)
    assert answer.usage.input_tokens == server.count_tokens(COLOURS)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": ""}])
def test_a_request_without_the_token_is_refused(server: EmbeddedServer, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(server.base_url.split(":")[2].removesuffix("/v1"))
    )
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps({"messages": COLOURS}), headers)
        assert connection.getresponse().status == 401
    finally:
        connection.close()


@pytest.mark.parametrize("is_stream", [False, True])
def test_killed_in_the_middle_of_a_request_it_is_a_typed_error_and_starts_again(
    server: EmbeddedServer, is_stream: bool
) -> None:
    asked = client(server)
    failures: list[BaseException] = []
    has_begun = threading.Event()

    def ask() -> None:
        try:
            # Seconds of work: reading the prompt, or writing all that the context has room for.
            if is_stream:
                for _ in asked.chat.completions.create(
                    model="x", messages=COLOURS, stream=True, extra_body={"ignore_eos": True}
                ):
                    has_begun.set()
            else:
                has_begun.set()
                asked.chat.completions.create(model="x", messages=LONG, max_tokens=64)
        except Exception as error:  # noqa: BLE001 - the test looks at whatever it is
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert has_begun.wait(DEADLINE)
    if not is_stream:
        time.sleep(0.3)  # it is being computed: the request takes ten times as long
    old = kill(server)
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert [type(failure) for failure in failures] == [openai.APIConnectionError]

    assert server.count_tokens(COLOURS) > 0
    assert server.pid not in (None, old)
    # The client that was made before works on: the address is the same.
    assert asked.chat.completions.create(model="x", messages=COLOURS, max_tokens=1).usage is not None


def test_a_taken_port_does_not_stop_a_restart(server: EmbeddedServer) -> None:
    port = int(server.base_url.split(":")[2].removesuffix("/v1"))
    kill(server)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        assert server.base_url != f"http://127.0.0.1:{port}/v1"
    assert server.count_tokens(COLOURS) > 0


@pytest.mark.parametrize("heir", [[], ["heir"]], ids=["alone", "while another process holds its pipe"])
def test_it_ends_when_its_parent_is_killed(heir: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, *heir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        assert parent.stdout.readline() == "ready\n"
        assert is_open(port)
        parent.kill()
        parent.wait()
        assert eventually(lambda: not is_open(port))


def test_it_outlives_the_thread_that_started_it() -> None:
    embedded = EmbeddedServer()
    try:
        thread = threading.Thread(target=lambda: embedded.base_url)
        thread.start()
        thread.join()
        first = embedded.pid
        assert first is not None
        assert embedded.count_tokens(COLOURS) > 0
        assert embedded.pid == first
    finally:
        embedded.stop()


def test_many_threads_start_one_process() -> None:
    embedded = EmbeddedServer()
    try:
        seen: list[tuple[str, int | None]] = []
        threads = [
            threading.Thread(target=lambda: seen.append((embedded.base_url, embedded.pid))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8
        assert len(set(seen)) == 1
    finally:
        embedded.stop()


def test_stopped_it_ends_and_starts_again_when_used() -> None:
    embedded = EmbeddedServer()
    try:
        port = int(embedded.base_url.split(":")[2].removesuffix("/v1"))
        embedded.stop()
        assert embedded.pid is None
        assert not is_open(port)
        assert embedded.count_tokens(COLOURS) > 0
    finally:
        embedded.stop()


def test_a_forked_process_does_not_take_it_for_its_own() -> None:
    # In a process of its own: forking one that runs threads is a gamble that the test must not take.
    code = """
import os, sys, warnings
from surefoot.models.local import EmbeddedServer
MESSAGES = [{"role": "user", "content": "hi"}]
warnings.simplefilter("error")
server = EmbeddedServer()
url, pid = server.base_url, server.pid
child = os.fork()
if child == 0:
    assert server.pid is None
    assert server.count_tokens(MESSAGES) > 0
    assert server.pid != pid and server.base_url != url
    sys.exit(0)  # with its exit handlers, which must not end the parent's server
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (server.base_url, server.pid) == (url, pid)
assert server.count_tokens(MESSAGES) > 0
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="CPU time of another process is read from /proc"
)
def test_idle_it_uses_no_cpu(server: EmbeddedServer) -> None:
    client(server).chat.completions.create(model="x", messages=COLOURS, max_tokens=4)

    def ticks() -> int:
        fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(2)
    # One spinning thread would take 2 s.
    assert (ticks() - before) / os.sysconf("SC_CLK_TCK") < 0.1


def test_a_process_that_ends_normally_ends_its_server_without_a_word() -> None:
    code = "from surefoot.models.local import shared_server; print(shared_server().base_url)"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert not is_open(int(done.stdout.strip().split(":")[2].removesuffix("/v1")))


class Chosen(BaseModel):
    colour: Literal["red", "green", "blue"]


def test_generate_on_the_embedded_model(tmp_path: Path) -> None:
    """By its own name, and as the alias of a model whose provider has no credential; held to a type by its grammar."""
    app = App(load(tmp_path, environ={}))

    @flow
    async def asking() -> list[object]:
        pieces: list[str] = []
        chosen = await generate(COLOURS, Chosen, using=Call("local:smollm2", max_tokens=60, temperature=0))
        text = await generate(COLOURS, using=Call("gpt-4o", max_tokens=20, stream=pieces.append))
        return [chosen.colour, text, pieces]

    try:
        colour, text, pieces = app.run(asking)  # type: ignore[misc]
        assert colour in ("red", "green", "blue")
        assert text
        assert "".join(pieces) == text
        run = app.ledger.run("last")
        assert run.totals.calls == 2
        assert run.totals.usage.output > 0
        assert run.totals.cost is not None
    finally:
        app.close()
