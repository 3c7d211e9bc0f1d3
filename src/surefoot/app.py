"""The composition root: the settings found from the working directory, and everything that is wired by them."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from surefoot import flows, models, prompts, retrieval
from surefoot.errors import ConfigError, LedgerError, UnknownRun
from surefoot.flows import AnyFlow, Keeper, Listener, Options
from surefoot.guards import SecretFinder
from surefoot.ledger import Keyring, Payloads, RunRecord, SqliteLedger
from surefoot.models import CallTarget, ClientSettings, Endpoint, Policy, Retries, Route
from surefoot.values import RunTags, new_id

if TYPE_CHECKING:
    from surefoot.config import Loaded
    from surefoot.models.local import EmbeddedServer
    from surefoot.traces import Card

_KEY_VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SUREFOOT_KEY")
_LOCAL = "local:"

_lock = threading.Lock()
_apps: dict[Path, App] = {}
_current: ContextVar[App | None] = ContextVar("surefoot_app", default=None)


class App:
    """Ledger, prompts, models and collections of one project.

    `App.current()` is the one of the working directory; `App(load(folder))` is one of its own. Flows that are called
    directly run in the current app, flows given to `run` in this one.
    """

    def __init__(self, settings: Loaded | None = None) -> None:
        """Raises `ConfigError`. Nothing is opened or started before it is needed."""
        # Settings are checked by pydantic, which whoever only defines flows need not import.
        from surefoot.config import load

        self.settings = settings or load()
        config = self.config = self.settings.config
        finder = SecretFinder(self._known_secrets)
        self.keyring = Keyring(config.privacy.key_file, key=os.environ.get("SUREFOOT_KEY"))
        self.ledger = SqliteLedger(
            config.ledger.path,
            Payloads(self.keyring, privacy=finder, inline_bytes=config.ledger.inline_bytes),
            synchronous=config.ledger.synchronous,
        )
        self.keeper = Keeper(self.ledger, lease_seconds=config.runs.lease)
        self.is_quiet = not config.notebook.progress
        """Whether runs in a notebook are not shown in their cell."""
        self.policy = Policy(endpoints=self, retries=Retries(count=config.models.retries))

    @classmethod
    def current(cls) -> App:
        """The app of the run that is open here, else of the nearest `surefoot.toml`, else of the working directory."""
        if (inside := _current.get()) is not None:
            return inside
        here = Path.cwd()
        with _lock:
            app = _apps.get(here)
            if app is None:
                app = _apps[here] = cls()
            return app

    @functools.cached_property
    def prompts(self) -> prompts.Library:
        """The prompts of this project."""
        return prompts.Library(self.config.prompts.path)

    @functools.cached_property
    def home(self) -> retrieval.Home:
        """The document collections of this project, with the embedder that fits them."""
        if self.config.retrieval.embedder != "local:minilm":
            raise ConfigError(
                f"retrieval.embedder is {self.config.retrieval.embedder!r}; this version embeds with 'local:minilm'"
            )
        from surefoot.models.local import MiniLM

        return retrieval.Home(self.config.retrieval.path, MiniLM())

    @functools.cached_property
    def embedded(self) -> EmbeddedServer:
        """The embedded model's server, which starts at its first use."""
        from surefoot.models.local import shared_server

        return shared_server(context=self.config.local.context, threads=self.config.local.threads)

    # Running

    def run(
        self,
        flow: AnyFlow | str,
        inputs: Mapping[str, object] | None = None,
        *,
        init: Mapping[str, object] | None = None,
        tags: RunTags | None = None,
        listener: Listener | None = None,
    ) -> object:
        """Run a flow and return its output; an async flow runs on a background loop.

        `flow` may be named as `FILE.py:NAME`. Inputs are checked against its signature, `init` goes to the
        constructor of a `Workflow` class. Raises `InvalidInput`, `UnknownFlow`, and `StepFailed` from what the flow
        raised.
        """
        logic, is_async, run_id = self._begin(flow, inputs, init, tags, listener)
        with self.entered(), self._explaining(run_id):
            return flows.run_in_background(flows.drive_async(logic)) if is_async else flows.drive(logic)

    async def run_async(
        self,
        flow: AnyFlow | str,
        inputs: Mapping[str, object] | None = None,
        *,
        init: Mapping[str, object] | None = None,
        tags: RunTags | None = None,
        listener: Listener | None = None,
    ) -> object:
        """`run` for async code: an async flow runs on the caller's loop, a sync one in a worker thread."""
        logic, is_async, run_id = self._begin(flow, inputs, init, tags, listener)
        with self.entered(), self._explaining(run_id):
            return await (
                flows.drive_async(logic) if is_async else flows.run_in_thread(lambda: flows.drive(logic))
            )

    def resume(
        self,
        run_id: str,
        *,
        flow: AnyFlow | None = None,
        accept_divergence: bool = False,
        listener: Listener | None = None,
    ) -> object:
        """Go on with a run where its record ends, and return its output; that of a completed run is returned again.

        `flow` is needed only where the code cannot be imported again, as in a notebook. Raises `UnknownRun`,
        `UnknownFlow`, `RunBusy`, and `StepFailed` from what the flow raised, which may be `Diverged`.
        """
        record = self.ledger.run(run_id)
        with self.entered():
            logic, is_async = self._resume(
                record, flow, Options(listener=listener, accept_divergence=accept_divergence)
            )
            with self._explaining(record.id):
                return flows.run_in_background(flows.drive_async(logic)) if is_async else flows.drive(logic)

    async def resume_async(
        self,
        run_id: str,
        *,
        flow: AnyFlow | None = None,
        accept_divergence: bool = False,
        listener: Listener | None = None,
    ) -> object:
        """`resume` for async code."""
        record = self.ledger.run(run_id)
        with self.entered():
            logic, is_async = self._resume(
                record, flow, Options(listener=listener, accept_divergence=accept_divergence)
            )
            with self._explaining(record.id):
                return await (
                    flows.drive_async(logic) if is_async else flows.run_in_thread(lambda: flows.drive(logic))
                )

    def close(self) -> None:
        """Write what is queued and close the ledger."""
        self.ledger.close()

    # What a run asks of its host (`surefoot.flows.Host`)

    def prepare(self) -> None:
        """Before each run: the state folder and the hook under SDK clients."""
        self.settings.ensure_state_dir()
        models.install()

    @contextmanager
    def entered(self) -> Generator[App]:
        """Make this the current app for the code inside."""
        token = _current.set(self)
        try:
            yield self
        finally:
            # A coroutine that is thrown away unfinished is closed in a context that is not its own.
            with suppress(ValueError):
                _current.reset(token)

    def client(self, kind: type) -> object | None:
        """An SDK client of this class from the connection of its provider; None if the class is no SDK client."""
        provider = models.provider_of(kind)
        if provider is None:
            return None
        given = next((c for c in self.config.connections.values() if c.provider == provider), None)
        settings = ClientSettings()
        if given is not None:
            settings = ClientSettings(given.api_key.resolve() if given.api_key else None, given.base_url)
        is_claude = [name.startswith("claude") for name in self.config.models.aliases]
        is_alias_served = any(is_claude) if provider == "anthropic" else not all(is_claude)
        return models.build_client(kind, settings, is_alias_served=is_alias_served)

    # Where calls go (`surefoot.models.Endpoints`)

    def route(self, call: CallTarget, /) -> Route | None:
        """The embedded model, for calls that name it, and for aliases whose provider has no credential."""
        model = call.requested_model
        if not model.startswith(_LOCAL):
            if call.has_credential:
                return None
            model = self.config.models.aliases.get(model, "")
            if not model:
                return None
        if model != "local:smollm2":
            raise ConfigError(f"model {model!r} is not known: this version embeds 'local:smollm2'")
        return Route(model, self._embedded_endpoint)

    def _embedded_endpoint(self) -> Endpoint:
        server = self.embedded

        def check(body: Mapping[str, object], path: str) -> None:
            server.check_fits(body, path=f"/v1{path}")

        return Endpoint(server.base_url, {"authorization": f"Bearer {server.api_key}"}, check)

    # What people see (`surefoot.flows.Host`)

    def card(self, run_id: str = "last") -> Card:
        """A run at a glance, by its id, the beginning of it, or `last`; a notebook shows it as HTML.

        Raises `UnknownRun` and `LedgerError`.
        """
        from surefoot import traces

        return traces.card(traces.trace(self.ledger, run_id))

    def watching(self) -> AbstractContextManager[Listener | None]:
        """In a notebook, who shows the progress of a run in its cell; elsewhere nobody."""
        if self.is_quiet or "ipykernel" not in sys.modules:
            return nullcontext()
        from surefoot import notebook

        shell = notebook.shell()
        return nullcontext() if shell is None else notebook.showing(shell, self.card)

    def _begin(
        self,
        flow: AnyFlow | str,
        inputs: Mapping[str, object] | None,
        init: Mapping[str, object] | None,
        tags: RunTags | None,
        listener: Listener | None,
    ) -> tuple[flows.Logic[object], bool, str]:
        found, spec = flows.find_spec(flow)
        with self.entered():
            values = flows.checked(spec, inputs or {})
            target = flows.target_of(found, spec, values, init=init or {}, make_client=self.client)
        options = Options(run_id=new_id(), tags=tags or RunTags(), listener=listener)
        return flows.begin(target, options), spec.is_async, cast("str", options.run_id)

    def _resume(
        self, record: RunRecord, flow: AnyFlow | None, options: Options
    ) -> tuple[flows.Logic[object], bool]:
        found, spec = flows.find_spec(flow if flow is not None else flows.load(record.entry))

        def make(inputs: Mapping[str, Any], init: Mapping[str, Any]) -> flows.Target:
            return flows.target_of(found, spec, inputs, init=init, make_client=self.client)

        return flows.resume(record, make, options), spec.is_async

    @contextmanager
    def _explaining(self, run_id: str) -> Generator[None]:
        """Raise `StepFailed` from what a flow raised; an error that is no outcome of the run stays what it is."""
        try:
            yield
        except Exception as error:
            record = self._record_of(run_id)
            if record is None or record.status != "failed":
                raise
            raise flows.step_failed(error, record) from error

    def _record_of(self, run_id: str) -> RunRecord | None:
        """The run, if the ledger can be read and holds it: a failed ledger must not hide why it failed."""
        with suppress(LedgerError, UnknownRun):
            return self.ledger.run(run_id)
        return None

    def _known_secrets(self) -> frozenset[str]:
        environment = {value for name in _KEY_VARIABLES if (value := os.environ.get(name))}
        return self.settings.resolved_secrets() | environment


flows.host.provide(App.current)
models.policy.provide(lambda: App.current().policy)
prompts.library.provide(lambda: App.current().prompts)
retrieval.home.provide(lambda: App.current().home)
