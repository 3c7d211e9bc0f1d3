"""An app on a local server under limits that a test can look into, and the ways of calling it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from accounts import Account, Fuses, Gate
from faults import FaultServer
from surefoot import App
from surefoot.config import load

DOLLAR = 1_000_000_000


@dataclass
class Limited:
    """The app, its server, and what its calls are bounded by."""

    app: App
    server: FaultServer
    account: Account
    gate: Gate
    fuses: Fuses

    def check_clean(self) -> None:
        """Nothing is held and nobody is inside any more."""
        assert self.account.held == 0
        assert self.gate.inside == 0
        assert self.fuses.under_way == 0

    @property
    def first_worst(self) -> int:
        """What was held for the first call."""
        return next(amount for what, amount in self.account.log if what == "held")


@contextmanager
def limited(
    folder: Path,
    server: FaultServer,
    *,
    limit: int = 100 * DOLLAR,
    cap: int | None = None,
    room: int | None = None,
    after: int = 1_000_000,
    prices: str = "",
    **settings: str,
) -> Iterator[Limited]:
    """An app whose OpenAI is `main`, Anthropic and Google as they are, and whose server `gone` is not there.

    `limit` and `cap` are those of the account, `room` that of the gate, `after` that of the breaker; `prices` goes into
    the settings, `settings` into the environment.
    """
    server.mend()
    server.received.clear()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "surefoot.toml").write_text(
        f'[connections.proxy]\nprovider = "openai-compatible"\nbase_url = "{server.openai_url}"\n'
        'api_key = "${env:OPENAI_API_KEY}"\n'
        '[connections.gone]\nprovider = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
        f'[connections.main]\nprovider = "openai"\nbase_url = "{server.openai_url}"\ndefault = true\n'
        + prices
    )
    environ = {
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_MODELS_RETRIES": "2",
        "SUREFOOT_MODELS_RETRY_CAP": "0.001",
        "SUREFOOT_MODELS_RETRY_RESERVE": "1000",
        **{f"{provider}_API_KEY": "key-of-a-test" for provider in ("OPENAI", "ANTHROPIC", "GOOGLE")},
        "ANTHROPIC_BASE_URL": server.anthropic_url,
        "GOOGLE_GEMINI_BASE_URL": server.url,
        **settings,
    }
    app = App(load(folder, environ=environ))
    bounds = Account(limit, cap), Gate(room), Fuses(after)
    app.policy = replace(app.policy, budgets=bounds[0], admission=bounds[1], breakers=bounds[2])
    try:
        with app.entered():
            yield Limited(app, server, *bounds)
    finally:
        app.close()
