"""The gateway on a port of its own, over strict local servers in the place of the providers, and its clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import uvicorn

from surefoot import App
from surefoot.access import LOCAL
from surefoot.config import load
from surefoot.ledger import RunRecord
from surefoot.server import Served
from surefoot.server.api.application import api_of
from surefoot.server.entry import protocol

KEY = "sk-of-the-provider-0123456789abcdef"
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

[access]
project = "shop"

[access.roles]
caller = ["connection:use"]

[models]
default = "main:gpt-4o"
retries = {retries}
retry_cap = 0.001

[models.aliases]
"""


@dataclass
class Gatewayed:
    """The app, where its gateway is, and tokens by who they are of."""

    app: App
    url: str
    tokens: dict[str, str]

    def openai(self, who: str = "user:ann", **more: Any) -> openai.OpenAI:
        return openai.OpenAI(
            **{
                "base_url": f"{self.url}/v1",
                "api_key": self.tokens.get(who, who),
                "max_retries": 0,
                # Without encryption there is no need for certificates, which take their time to load.
                "http_client": openai.DefaultHttpxClient(verify=False),
                **more,
            }
        )

    def anthropic(self, who: str = "user:ann", **more: Any) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            **{
                "base_url": self.url,
                "api_key": self.tokens.get(who, who),
                "max_retries": 0,
                "http_client": anthropic.DefaultHttpxClient(verify=False),
                **more,
            }
        )

    def add(self, who: str, organisation: str, *, on: str = "", role: str = "caller") -> str:
        """Somebody who may use connections in a scope, and his token."""
        self.app.access.people.add(who, organisation=organisation, by=LOCAL)
        self.app.access.people.grant(who, role, on or organisation, by=LOCAL)
        self.tokens[who], _ = self.app.access.tokens.issue(who, by=LOCAL)
        return self.tokens[who]

    def runs(self, **more: Any) -> list[RunRecord]:
        """The runs of the gateway, the newest first."""
        return self.app.ledger.runs(flow="gateway", **more)

    def ended(self, *, within: float = 20.0) -> RunRecord:
        """The newest run, once it is over."""
        until = time.monotonic() + within
        while True:
            newest = self.runs(limit=1)[0]
            if newest.status not in ("pending", "running", "waiting"):
                return newest
            assert time.monotonic() < until, f"run {newest.id} is {newest.status} still"
            time.sleep(0.02)


@contextmanager
def gatewayed(
    folder: Path,
    openai_url: str,
    anthropic_url: str = "",
    *,
    settings: str = "",
    access: str = "",
    retries: int = 0,
) -> Iterator[Gatewayed]:
    """The gateway of an app of that folder; `user:ann` of `acme` may use every connection there.

    access: lines of `[access]`, with further sections behind them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = SETTINGS.format(openai=openai_url, anthropic=anthropic_url or openai_url, retries=retries)
    text = text.replace('project = "shop"', f'project = "shop"\n{access.partition("[")[0]}')
    settings += "".join(access.partition("[")[1:])
    (folder / "surefoot.toml").write_text(text + settings)
    environ = {"SUREFOOT_LEDGER_SYNCHRONOUS": "normal", "PROVIDER_KEY": KEY}
    app = App(load(folder, environ=environ))
    server = uvicorn.Server(
        uvicorn.Config(
            api_of(app, Served([]), has_gateway=True).asgi,
            port=0,
            http=protocol(app.config.serve),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        gateway = Gatewayed(app, f"http://127.0.0.1:{port}", {})
        gateway.add("user:ann", "acme")
        yield gateway
    finally:
        server.should_exit = True
        thread.join(20)
        app.close()
