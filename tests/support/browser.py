"""A headless Chromium that tests drive, and the pages of an app served to it."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn

from surefoot import App
from surefoot.server import loopback_hosts, web

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on PATH: `apt-get install chromium` to run the tests in a browser"
)
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
]
_PATIENCE_S = 30.0


class Tab:
    """One page. `troubles` collects what the console and the network complain about."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loads: dict[str, asyncio.Event] = {}
        self.troubles: list[str] = []
        self.requests: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                self._waiting.pop(event["id"]).set_result(event)
            else:
                self._note(event["method"], event["params"])

    def _note(self, method: str, given: dict[str, Any]) -> None:
        if method == "Page.lifecycleEvent" and given["name"] == "load":
            self._loads.setdefault(given["loaderId"], asyncio.Event()).set()
        elif method == "Runtime.exceptionThrown":
            self.troubles.append(str(given["exceptionDetails"]))
        elif method == "Log.entryAdded" or (method == "Runtime.consoleAPICalled" and given["type"] != "log"):
            self.troubles.append(str(given))
        elif method == "Page.javascriptDialogOpening":
            self.troubles.append(f"dialog: {given['message']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])

    async def ask(self, method: str, **given: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": given})
        result = await asyncio.wait_for(answer, _PATIENCE_S)
        assert "error" not in result, result
        return result["result"]

    async def open(self, url: str) -> None:
        """Go there, and wait for the load of this very document: that of the one before may still be on its way."""
        document = (await self.ask("Page.navigate", url=url))["loaderId"]
        loaded = self._loads.setdefault(document, asyncio.Event())
        await asyncio.wait_for(loaded.wait(), _PATIENCE_S)

    async def size(self, width: int, height: int, *, is_dark: bool = False) -> None:
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])

    async def js(self, expression: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        found = await self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression holds in a page whose scripts have run.

        What it raises between two documents does not count.
        """
        expression = f"document.readyState === 'complete' && ({expression})"
        last: object = None
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while True:  # (the page knows, and it tells nobody)
                    try:
                        if await self.js(expression):
                            return
                    except AssertionError as error:
                        last = error
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{expression} never held: {last or 'it was false'}") from None

    async def key(self, name: str) -> None:
        code = {"Enter": 13, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9}[name]
        text = {"text": "\r"} if name == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text
            )


@contextmanager
def browser() -> Iterator[int]:
    """A browser with an empty profile: the port of its debugging protocol."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="surefoot-browser-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # The browser writes its port into the profile once it listens.
            told, until = Path(profile) / "DevToolsActivePort", time.monotonic() + _PATIENCE_S
            while not (told.exists() and "\n" in told.read_text()):
                assert process.poll() is None, "the browser did not start"
                assert time.monotonic() < until, "the browser does not listen"
                time.sleep(0.05)
            yield int(told.read_text().split()[0])
        finally:
            process.terminate()
            process.wait(10)


@asynccontextmanager
async def tab(port: int) -> AsyncIterator[Tab]:
    """The tab that the browser on this port has opened."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            address = next(
                page["webSocketDebuggerUrl"] for page in await answer.json() if page["type"] == "page"
            )
        async with session.ws_connect(address, max_msg_size=0) as channel:
            found = Tab(channel)
            listening = asyncio.create_task(found.listen())
            for domain in ("Page", "Runtime", "Log", "Network"):
                await found.ask(f"{domain}.enable")
            await found.ask("Page.setLifecycleEventsEnabled", enabled=True)
            yield found
            await channel.close()
            await listening


def browse(look: Callable[[Tab], Awaitable[None]]) -> None:
    """Do something in a tab of a browser of its own."""

    async def within(port: int) -> None:
        async with tab(port) as page:
            await look(page)

    with browser() as port:
        asyncio.run(within(port))


@contextmanager
def served(app: App, *, is_read_only: bool = False) -> Iterator[str]:
    """The address of the pages, served in a thread as `surefoot ui` does in a process."""
    config = uvicorn.Config(lambda *_: None, http="h11", lifespan="off", log_config=None, access_log=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        config.app = web(app, hosts=loopback_hosts(port), is_read_only=is_read_only)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


FITS = "document.documentElement.scrollWidth <= innerWidth"
