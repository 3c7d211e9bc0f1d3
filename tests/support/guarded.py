"""An app whose model calls go to a local server, under guards as a test has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from durable import history
from streaming import Answer, StreamingServer
from surefoot import App
from surefoot.config import load
from surefoot.decisions import Decision


@contextmanager
def guarded(
    folder: Path, answer: Answer, *, guards: str = "", settings: str = ""
) -> Iterator[tuple[App, StreamingServer]]:
    """The app and its server. `guards` are lines of `[guards]`, `settings` are further sections."""
    folder.mkdir(parents=True, exist_ok=True)
    with StreamingServer(answer) as server:
        (folder / "surefoot.toml").write_text(
            f'[connections.main]\nprovider = "openai"\nbase_url = "{server.url}/v1"\ndefault = true\n'
            f"[guards]\n{guards}\n{settings}"
        )
        environ = {
            "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
            "SUREFOOT_MODELS_RETRIES": "0",
            "OPENAI_API_KEY": "key-of-a-test",
            "ANTHROPIC_API_KEY": "key-of-a-test",
            "ANTHROPIC_BASE_URL": server.url,
        }
        app = App(load(folder, environ=environ))
        try:
            with app.entered():
                yield app, server
        finally:
            app.close()


def calls(app: App) -> list[Any]:
    """The outcomes of the model calls of the last run."""
    return [link.outcome for link in history(app) if link.outcome.kind == "call"]


def decisions(app: App) -> list[Decision]:
    """What guards have decided of the calls of the last run."""
    return [one for outcome in calls(app) for one in outcome.decisions]


def told(decided: list[Decision]) -> list[tuple[str, str, str]]:
    """Decisions as guard, action and place."""
    return [(one.guard, one.action, one.where) for one in decided]


Body = Mapping[str, Any]
