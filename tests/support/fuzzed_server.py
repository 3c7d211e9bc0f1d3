"""A server of described flows on a port of its own, with people of every role and providers that are local servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fuzzed_flows import address, ask, mail, tick, weigh
from letting_in import Town, real_server
from served_here import served_here
from surefoot import App
from surefoot.config import load
from wire import WireServer

SETTINGS = """
[connections.main]
provider = "openai"
base_url = "{openai}"
api_key = "${{env:PROVIDER_KEY}}"
default = true

[connections.claude]
provider = "anthropic"
base_url = "{anthropic}"
api_key = "${{env:PROVIDER_KEY}}"
default = true

[models]
default = "main:gpt-4o"
retries = 0

[models.aliases]
"""
# Many ask much here, and are refused by nothing but what is looked into.
MOST = 1e9


@dataclass
class FuzzedServer:
    """Where it is, and who may ask."""

    url: str
    town: Town

    def document(self, who: str = "admin") -> dict[str, Any]:
        """Its description of itself."""
        found: dict[str, Any] = httpx.get(f"{self.url}/openapi.json", headers=self.town.bearer(who)).json()
        return found


@contextmanager
def fuzzed_server(folder: Path, **environ: str) -> Iterator[FuzzedServer]:
    """The server, until it is left."""
    with WireServer() as wire:
        text = SETTINGS.format(openai=wire.openai_url, anthropic=wire.anthropic_url)
        (folder / "surefoot.toml").write_text(text)
        own = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "PROVIDER_KEY": "key-of-the-provider"}
        app = App(load(folder, environ={**own, **environ}))
        try:
            with (
                real_server(
                    *(app, weigh, address, ask, mail, tick),
                    requests_per_minute=MOST,
                    bad_tokens_per_minute=MOST,
                    queue=100_000,
                    max_batch=3,
                    park=0.05,
                    sync_seconds=0.3,
                ) as asgi,
                served_here(asgi) as port,
            ):
                yield FuzzedServer(f"http://127.0.0.1:{port}", Town(app))
        finally:
            app.close()
