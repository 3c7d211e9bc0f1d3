from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google.genai._api_client import BaseApiClient

from memory_scope import MemoryScope
from policies import configure
from surefoot import models
from wire import WireServer

SUPPORT = Path(__file__).parents[3] / "servers"
METHODS = [
    (httpx2.Client, "send"),
    (httpx2.AsyncClient, "send"),
    (httpx.Client, "send"),
    (httpx.AsyncClient, "send"),
    (openai._base_client.SyncAPIClient, "request"),
    (openai._base_client.AsyncAPIClient, "request"),
    (anthropic._base_client.SyncAPIClient, "request"),
    (anthropic._base_client.AsyncAPIClient, "request"),
    (BaseApiClient, "_request"),
    (BaseApiClient, "_async_request"),
    (BaseApiClient, "_use_aiohttp"),
]
ORIGINALS = [cls.__dict__[name] for cls, name in METHODS]
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"authorization": "Bearer test"}


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    configure(retries=models.Retries(base=0.0))
    # A run of another test has put it on.
    models.uninstall()
    yield
    models.uninstall()


def sends() -> list[object]:
    return [cls.__dict__[name] for cls, name in METHODS]


def test_the_hook_goes_on_once_and_off_without_a_trace() -> None:
    finders = list(sys.meta_path)
    assert sends() == ORIGINALS
    models.install()
    hooked = sends()
    assert all(ours is not original for ours, original in zip(hooked, ORIGINALS, strict=True))
    models.install()
    assert sends() == hooked
    assert models.is_installed()
    models.uninstall()
    assert sends() == ORIGINALS
    assert sys.meta_path == finders
    assert not models.is_installed()


def test_threads_that_install_together_patch_once() -> None:
    threads = [threading.Thread(target=models.install) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    models.uninstall()
    assert sends() == ORIGINALS


def test_a_patch_of_others_on_top_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    models.install()
    ours = httpx2.Client.__dict__["send"]

    def traced(self: httpx2.Client, *args: Any, **options: Any) -> Any:
        return ours(self, *args, **options)

    monkeypatch.setattr(httpx2.Client, "send", traced)
    models.uninstall()
    assert httpx2.Client.__dict__["send"] is traced
    with WireServer() as wire, MemoryScope().open() as scope, httpx2.Client(headers=HEADERS) as client:
        client.post(wire.openai_url + "/chat/completions", json=BODY)
        assert scope.claims == []
        models.install()
        client.post(wire.openai_url + "/chat/completions", json=BODY)
        assert len(scope.claims) == 1
    monkeypatch.undo()


def test_outside_a_run_nothing_is_seen_or_changed() -> None:
    models.install()
    with WireServer() as wire, openai.OpenAI(base_url=wire.openai_url, api_key="test") as client:
        client.chat.completions.create(**BODY)
        assert "idempotency-key" not in wire.received[0].headers


def test_requests_that_are_no_model_calls_pass() -> None:
    models.install()
    with WireServer() as wire, MemoryScope().open() as scope, httpx2.Client(headers=HEADERS) as client:
        client.get(wire.openai_url + "/models")
        client.post(wire.openai_url + "/chat/completions", content=iter([b"{", b"}"]))
        client.post(wire.openai_url + "/files", files={"file": b"x"})
        assert scope.claims == []
        assert wire.count() == 3


def test_a_bare_http_client_is_recorded_like_an_sdk() -> None:
    models.install()
    with WireServer() as wire, httpx2.Client(headers=HEADERS) as client:
        url = wire.openai_url + "/chat/completions"
        with MemoryScope().open() as scope:
            live = client.post(url, json=BODY)
        with scope.resumed().open():
            replayed = client.post(url, json=BODY)
        assert replayed.content == live.content
        assert replayed.json() == live.json()
        assert type(replayed) is type(live)
        assert wire.count() == 1


def test_a_transport_that_is_itself_a_client_is_one_call() -> None:
    class Tunnel(httpx2.BaseTransport):
        def __init__(self) -> None:
            self.inner = httpx2.Client()

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            return self.inner.send(request)

        def close(self) -> None:
            self.inner.close()

    models.install()
    with WireServer() as wire, MemoryScope().open() as scope:
        with httpx2.Client(transport=Tunnel(), headers=HEADERS) as client:
            client.post(wire.openai_url + "/chat/completions", json=BODY).raise_for_status()
        assert len(scope.claims) == 1
        assert wire.count() == 1


def test_a_redirect_is_a_part_of_its_call() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "old":
            return httpx2.Response(307, headers={"location": "http://new/v1/chat/completions"})
        return httpx2.Response(200, json={"model": "m", "choices": []})

    models.install()
    with (
        MemoryScope().open() as scope,
        httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True) as client,
    ):
        assert client.post("http://old/v1/chat/completions", json=BODY).status_code == 200
        assert [ending.status for ending in scope.endings] == ["completed"]


CHILD = """
    import sys
    sys.path.insert(0, {support!r})
    {first}
    {second}
    from memory_scope import MemoryScope
    from wire import WireServer
    models.policy.provide(models.Policy)
    with WireServer() as wire:
        client = {client}
        scope = MemoryScope()
        def use():
            return client.{call}
        with scope.open():
            live = use()
        with scope.resumed().open():
            assert use() == live
        assert wire.count() == 1, wire.count()
        client.close()
    spec = sys.modules["{library}"].__spec__
    assert type(spec.loader).__module__.startswith(("importlib", "_frozen_importlib")), spec.loader
"""
INSTALL = "from surefoot import models; models.install()"
OPENAI = "openai.OpenAI(base_url=wire.openai_url, api_key='test')"
CHAT = "chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}])"
ANTHROPIC = "anthropic.Anthropic(base_url=wire.anthropic_url, api_key='test')"
MESSAGE = "messages.create(model='c', max_tokens=5, messages=[{'role': 'user', 'content': 'hi'}])"
BARE = "httpx.Client(headers={'authorization': 'Bearer test'}, base_url=wire.openai_url)"
GOOGLE = "genai.Client(api_key='test', http_options={'base_url': wire.gemini_url})"
GENERATE = "models.generate_content(model='gemini-2.5-flash', contents='hi').text"
POST = (
    "post('/chat/completions', json={'model': 'm', 'messages': [{'role': 'user', 'content': 'hi'}]}).json()"
)


@pytest.mark.parametrize("is_installed_first", [True, False])
@pytest.mark.parametrize(
    ("module", "client", "call", "library"),
    [
        ("openai", OPENAI, CHAT, "httpx2"),
        ("anthropic", ANTHROPIC, MESSAGE, "httpx2"),
        ("google.genai as genai", GOOGLE, GENERATE, "google.genai._api_client"),
        ("httpx", BARE, POST, "httpx"),
        ("httpx2._client, httpx2 as httpx", BARE, POST, "httpx2"),
    ],
)
def test_the_order_of_imports_does_not_matter(
    is_installed_first: bool, module: str, client: str, call: str, library: str
) -> None:
    order = [INSTALL, f"import {module}"] if is_installed_first else [f"import {module}", INSTALL]
    code = textwrap.dedent(CHILD).format(
        support=str(SUPPORT), first=order[0], second=order[1], client=client, call=call, library=library
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_library_that_poses_as_the_other_is_patched_once() -> None:
    code = """
        from surefoot import models
        models.install()
        import httpx2
        httpx2.alias_httpx()
        import httpx
        assert httpx is httpx2
        assert httpx.Client.send.__wrapped__.__qualname__ == "Client.send"
        assert not hasattr(httpx.Client.send.__wrapped__, "__wrapped__")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_release_without_a_method_is_hooked_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(BaseApiClient, "_use_aiohttp")
    models.install()
    assert "has no BaseApiClient._use_aiohttp in this release" in caplog.text
    assert httpx2.Client.__dict__["send"] is not ORIGINALS[0]
    models.uninstall()


def test_a_missing_library_stays_missing() -> None:
    code = """
        import sys
        from surefoot import models
        models.install()
        sys.path[:] = []
        sys.path_importer_cache.clear()
        import importlib.util
        assert importlib.util.find_spec("httpx2") is None
        try:
            import httpx2
        except ModuleNotFoundError as error:
            assert error.name == "httpx2"
        else:
            raise AssertionError
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_calls_in_threads_do_not_take_each_others_failures() -> None:
    """A retry of the SDK belongs to the call of its own thread."""
    configure(retries=models.Retries(count=0))
    models.install()
    results: dict[int, str] = {}

    def use(n: int, wire: WireServer, scope: MemoryScope) -> None:
        with scope.open(), openai.OpenAI(base_url=wire.openai_url, api_key="test", max_retries=0) as client:
            try:
                client.chat.completions.create(
                    model="gpt-4o",
                    messages=[{"role": "user", "content": f"q{n}"}],
                    extra_body={"x": n} if n % 2 else {},
                )
                results[n] = "ok"
            except openai.BadRequestError:
                results[n] = "refused"

    with WireServer() as wire:
        scope = MemoryScope()
        threads = [threading.Thread(target=use, args=(n, wire, scope)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wire.count() == 8
    assert results == {n: "refused" if n % 2 else "ok" for n in range(8)}
