"""The composition root: the settings found from the working directory, and everything that is wired by them."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from surefoot import flows, models, scope
from surefoot import ledger as records
from surefoot.errors import ConfigError, InvalidInput, MissingExtra
from surefoot.locks import ForkSafeLock, made_once
from surefoot.values import Caller, Money, RunTags, new_id

if TYPE_CHECKING:
    from surefoot import limits, prompts, retrieval
    from surefoot.access import Principal
    from surefoot.accessing.access import Access
    from surefoot.addresses import Egress
    from surefoot.config import Loaded
    from surefoot.errors import AccessDenied
    from surefoot.evals.online import Watch
    from surefoot.flows import AnyFlow, Decision, Listener, Options
    from surefoot.guards.checking import CustomGuard
    from surefoot.ledger import Account, Ledger, RunRecord
    from surefoot.limits.rates import Rates
    from surefoot.models import Policy
    from surefoot.models.local import EmbeddedServer
    from surefoot.models.posting import Posted
    from surefoot.rights import Rights
    from surefoot.texts.fences import Fences
    from surefoot.traces import Card, Costs, Estimate, Facet, Shadows
    from surefoot.traces.exporter import Exporter, Standing
    from surefoot.traces.metering import Meter

_lock = ForkSafeLock()
_apps: dict[str, App] = {}
_current: ContextVar[App | None] = ContextVar("surefoot_app", default=None)


class App:
    """Ledger, prompts, models and collections of one project.

    `App.current()` is the one of the working directory; `App(load(folder))` is one of its own. Flows that are called
    directly run in the current app, flows given to `run` in this one.
    """

    def __init__(self, settings: Loaded | None = None) -> None:
        """Raises `ConfigError`. Nothing is opened or started before it is needed."""
        # Whoever only defines flows and names the app need not import the rooms that it is made of, nor pydantic.
        from surefoot import guarding, wiring
        from surefoot.config import load
        from surefoot.endpoints import ProjectEndpoints
        from surefoot.guards import InEnvironment

        self.settings = settings or load()
        config = self.config = self.settings.config
        vault = self.settings.vault
        keys = {*models.KEY_VARIABLES, "SUREFOOT_KEY", *vault.variables}
        known = vault.known, InEnvironment(sorted(keys))
        self.keyring = records.Keyring(config.privacy.key_file, key=os.environ.get("SUREFOOT_KEY"))
        self.finder = wiring.finder_of(config.privacy, self.keyring, *known)
        """What finds secrets and personal data, in all that is recorded and sent."""
        scope.mask_logs(self.finder)
        payloads = records.Payloads(
            self.keyring,
            privacy=self.finder,
            secrecy=self.finder.secrets_only(),
            inline_bytes=config.ledger.inline_bytes,
        )
        self.ledger: Ledger = wiring.ledger_of(config.ledger, payloads, vault)
        self.keeper = flows.Keeper(self.ledger, lease_seconds=config.runs.lease)
        self.budgeting = wiring.budgets_of(config, self.ledger)
        """The budgets of model calls; None where there are none."""
        self.is_strict = config.runs.strict
        """Whether each fresh result is restored from its record at once, and fails its step if it is another value."""
        self.is_quiet = not config.notebook.progress
        """Whether runs in a notebook are not shown in their cell."""
        self.breakers = wiring.breakers_of(config, self.redis)
        """The circuit breakers of this project: those of models' endpoints, and those that steps and code name."""
        self._watches: list[Watch] = []
        self._exporter: Exporter | None = None
        self.meter: Meter | None = None
        """What counts what runs record in this process; None where nobody reads it."""
        self._beginning = ForkSafeLock()
        self._is_mute = False
        self.guards = guarding.guards_of(
            config,
            secrets=self.finder.secrets_only(),
            known=known,
            keyring=self.keyring,
            # Its key is asked for when it is first needed.
            canary=lambda tenant, digest: self.fences.canary(tenant, digest),  # noqa: PLW0108
        )
        """The guards around model calls."""
        self.endpoints = ProjectEndpoints(self.settings, lambda: self.embedded)
        self.policy: Policy = wiring.policy_of(
            config,
            self.endpoints,
            budgets=self.budgeting,
            admission=self.rates,
            breakers=self.breakers.endpoints,
            cache=self.answers,
            guards=self.guards,
        )

    @classmethod
    def current(cls) -> App:
        """The app of the run that is open here, else of the nearest `surefoot.toml`, else of the working directory."""
        if (inside := _current.get()) is not None:
            return inside
        # As text: this is asked at each call of a model.
        here = os.getcwd()
        with _lock:
            app = _apps.get(here)
            if app is None:
                app = _apps[here] = cls()
            return app

    @made_once
    def prompts(self) -> prompts.Library:
        """The prompts of this project."""
        from surefoot import wiring

        return wiring.library_of(
            self.config.prompts, self.ledger, self.settings.root, gates=self.config.gates
        )

    @made_once
    def fences(self) -> Fences:
        """What stands in prompts around texts that come from outside."""
        from surefoot import wiring

        return wiring.fences_of(self.config, self.keyring)

    @made_once
    def access(self) -> Access:
        """Who may do what here: people, roles, tokens, published flows, and the audit of it."""
        from surefoot.accessing.access import Access

        config = self.config
        return Access(self.ledger, config.access, config.oidc, self.keyring, project=self.settings.root.name)

    @made_once
    def egress(self) -> Egress:
        """What may be connected to where an address comes from somebody else (`[egress]`)."""
        from surefoot.addresses import Egress

        settings = self.config.egress
        return Egress(settings.allow_private, settings.hosts)

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 10.0,
        most: int = 1_000_000,
    ) -> Posted:
        """Send a request to an address that a user, a document or a model has chosen, where `[egress]` allows it.

        It leads to the public internet, over `https:`, or to what `allow_private` names; whatever a name resolves to
        and wherever it redirects, each address is looked at before it is connected to. most: bytes of the answer that
        are read; timeout: seconds for all of it.

        Gives `status`, `headers` (names in small letters) and `body`. Raises `AddressRefused`, `AccessDenied` in a run
        that may not ask that host, and `OSError` where no answer came.
        """
        from surefoot.models.fetching import fetch

        here = scope.current()

        def require(host: str) -> None:
            # What a run is confined to holds for whatever leaves it.
            if here is not None:
                here.require_use("host", host)

        return fetch(
            url,
            rules=self.egress,
            require=require,
            method=method,
            headers=headers,
            body=body,
            timeout=timeout,
            most=most,
        )

    @made_once
    def home(self) -> retrieval.Home:
        """The document collections of this project, with the embedder that fits them."""
        if self.config.retrieval.embedder != "local:minilm":
            raise ConfigError(
                f"retrieval.embedder is {self.config.retrieval.embedder!r}; this version embeds with 'local:minilm'"
            )
        from surefoot import retrieval
        from surefoot.models.local import MiniLM

        return retrieval.Home(self.config.retrieval.path, MiniLM())

    @property
    def home_here(self) -> retrieval.Home:
        """The collections that the code here sees: those of its run's tenant, where tenants have their own."""
        here = scope.current()
        tenant = "" if here is None else here.caller.tenant
        if not tenant or self.config.retrieval.tenants == "shared":
            return self.home
        # A tenant may be called anything, and its name is nothing for a list of files.
        return self.home.apart(self.keyring.derive(f"collections of {tenant}").hex()[:32])

    @made_once
    def databases(self) -> flows.Databases:
        """The databases of this project's transaction steps, each opened at its first use."""
        from surefoot.config import Database, LedgerSettings

        def address(given: Database | LedgerSettings) -> flows.Address:
            url = given.url or ""
            pool_size = given.pool_size if isinstance(given, Database) else 10
            if given.secret_url is not None:
                return flows.Address(given.secret_url.resolve, pool_size)
            if (password := given.password) is None:
                return flows.Address(lambda: url, pool_size)
            head, _, tail = url.partition("@")
            return flows.Address(lambda: f"{head}:{quote(password.resolve(), safe='')}@{tail}", pool_size)

        addresses = {name: address(given) for name, given in self.config.databases.items()}
        if self.config.ledger.url is not None or self.config.ledger.secret_url is not None:
            addresses[flows.LEDGER] = address(self.config.ledger)
        return flows.Databases(
            addresses, root=self.settings.root, body_seconds=self.config.ledger.body_seconds
        )

    @made_once
    def redis(self) -> limits.SharedRedis | None:
        """The Redis server that limits, breakers and the cache are shared by; None where the settings name none."""
        from surefoot import wiring

        return wiring.redis_of(self.config)

    @made_once
    def rates(self) -> Rates | None:
        """The limits of requests, tokens and calls at a time, over Redis where there is one; None without limits."""
        from surefoot import wiring

        return wiring.rates_of(self.config, self.redis) if self.config.limits else None

    @made_once
    def answers(self) -> limits.AnswerCache | None:
        """Answers of models that are given again; None where none are."""
        from surefoot import wiring

        return wiring.answers_of(self.config.cache, self.ledger, self.keyring, self.redis)

    @made_once
    def embedded(self) -> EmbeddedServer:
        """The embedded model's server, which starts at its first use."""
        from surefoot.models.local import shared_server

        return shared_server(context=self.config.local.context, threads=self.config.local.threads)

    def guard(self, function: CustomGuard, *, name: str = "") -> None:
        """Let a function look at every text that models are sent and answer, from now on.

        It is given the text and where it stands (`message 2`, `output`), sync or async, and returns None or True where
        the text may pass, False where not, another text that takes its place, or a `Decision`. How long it may take,
        and what becomes of a call where it fails, is in `[guards]`; guards that are modules' functions can be named
        there too (`custom`).
        """
        self.guards.add(function, name=name)

    # Running

    def run(
        self,
        flow: AnyFlow | str,
        inputs: Mapping[str, object] | None = None,
        *,
        init: Mapping[str, object] | None = None,
        tags: RunTags | None = None,
        key: str | None = None,
        wait: float = 0.0,
        deadline: float | None = None,
        listener: Listener | None = None,
    ) -> object:
        """Run a flow and return its output; an async flow runs on a background loop.

        `flow` may be named as `FILE.py:NAME`. Inputs are checked against its signature, `init` goes to the
        constructor of a `Workflow` class. Inside an open run this begins a child run, which is a step of that one.

        key: there is one run of the flow under it (and per tenant). A second call returns the output of that run, or
            goes on with it if it has not completed.
        wait: seconds to wait for another process or thread that holds the run of the key; by default none.
        deadline: seconds after which the run fails, instead of what its flow or `[runs] deadline` says.

        Raises `InvalidInput` (also where the run of the key was begun with other inputs), `UnknownFlow`, `RunBusy`,
        `RunCancelled`, `DeadlineExceeded`, `RunLimit`, and `StepFailed` from what the flow raised.
        """
        options = self._options(tags, key, wait, deadline, listener)
        with self.entered():
            target, is_async = self._target(flow, inputs, init)

            def conduct(logic: flows.Logic[object]) -> object:
                return flows.run_in_background(flows.drive_async(logic)) if is_async else flows.drive(logic)

            logic = flows.start(target, options, conduct)
            return flows.drive(logic) if flows.current_run() is not None else conduct(logic)

    async def run_async(
        self,
        flow: AnyFlow | str,
        inputs: Mapping[str, object] | None = None,
        *,
        init: Mapping[str, object] | None = None,
        tags: RunTags | None = None,
        key: str | None = None,
        wait: float = 0.0,
        deadline: float | None = None,
        listener: Listener | None = None,
    ) -> object:
        """`run` for async code: an async flow runs on the caller's loop, a sync one in a worker thread."""
        options = self._options(tags, key, wait, deadline, listener)
        with self.entered():
            target, is_async = self._target(flow, inputs, init)

            async def conduct(logic: flows.Logic[object]) -> object:
                return await (
                    flows.drive_async(logic) if is_async else flows.run_in_thread(lambda: flows.drive(logic))
                )

            logic = flows.start(target, options, conduct)
            return await (flows.drive_async(logic) if flows.current_run() is not None else conduct(logic))

    def submit(
        self,
        flow: AnyFlow | str,
        inputs: Mapping[str, object] | None = None,
        *,
        init: Mapping[str, object] | None = None,
        tags: RunTags | None = None,
        key: str | None = None,
        deadline: float | None = None,
    ) -> flows.Run:
        """Record a run that is to be made, and come back once that is durable: `resume` makes it, here or elsewhere.

        Arguments are those of `run`. Where the key is taken, nothing is recorded and the run that has it is returned.
        The deadline counts from now. Raises `InvalidInput` and `UnknownFlow`.
        """
        with self.entered():
            target, _ = self._target(flow, inputs, init)
            record = flows.drive(flows.submit(target, self._options(tags, key, 0.0, deadline, None)))
            return flows.Run(record, self)

    async def submit_async(
        self,
        flow: AnyFlow | str,
        inputs: Mapping[str, object] | None = None,
        *,
        init: Mapping[str, object] | None = None,
        tags: RunTags | None = None,
        key: str | None = None,
        deadline: float | None = None,
    ) -> flows.Run:
        """`submit` for async code."""
        with self.entered():
            target, _ = self._target(flow, inputs, init)
            logic = flows.submit(target, self._options(tags, key, 0.0, deadline, None))
            return flows.Run(await flows.drive_async(logic), self)

    def acting(self, principal: Principal) -> AbstractContextManager[None]:
        """Let the runs that are begun or submitted inside be those of somebody who asks from outside.

        They are confined to what the approved version of their flow names, and to the connections that his grants
        reach; tenant and principal of a run are his. `run`, `submit` and their like raise `AccessDenied` where he may
        not run a flow, or no version of it like the code here was approved.
        """
        return flows.acting(principal)

    def resume(
        self,
        run_id: str,
        *,
        flow: AnyFlow | None = None,
        accept_divergence: bool = False,
        deadline: float | None = None,
        decisions: Mapping[str, Decision] | None = None,
        listener: Listener | None = None,
    ) -> object:
        """Go on with a run where its record ends, and return its output; that of a completed run is returned again.

        `flow` is needed only where the code cannot be imported again, as in a notebook. `deadline`, in seconds from
        now, takes the place of the run's own. `decisions` says what became of effects that are in doubt, each by the
        step's name or the beginning of its key: `Done(result)`, or `"retry"` to do it now.

        Raises `UnknownRun`, `UnknownFlow`, `RunBusy`, `RunCancelled`, `DeadlineExceeded`, `RunLimit`, `Compensated`,
        `InDoubt`, `Diverged`, and `StepFailed` from what the flow raised.
        """
        options = flows.Options(
            listener=listener,
            accept_divergence=accept_divergence,
            deadline=_ahead(deadline),
            decisions=decisions or {},
            explains=True,
        )
        with self.entered():
            logic, is_async = self._resume(self.ledger.run(run_id), flow, options)
            return flows.run_in_background(flows.drive_async(logic)) if is_async else flows.drive(logic)

    async def resume_async(
        self,
        run_id: str,
        *,
        flow: AnyFlow | None = None,
        accept_divergence: bool = False,
        deadline: float | None = None,
        decisions: Mapping[str, Decision] | None = None,
        listener: Listener | None = None,
    ) -> object:
        """`resume` for async code."""
        options = flows.Options(
            listener=listener,
            accept_divergence=accept_divergence,
            deadline=_ahead(deadline),
            decisions=decisions or {},
            explains=True,
        )
        with self.entered():
            logic, is_async = self._resume(self.ledger.run(run_id), flow, options)
            return await (
                flows.drive_async(logic) if is_async else flows.run_in_thread(lambda: flows.drive(logic))
            )

    def fork(
        self,
        run: str | flows.Run,
        from_step: str | None = None,
        *,
        changes: Sequence[flows.Change | str] = (),
        inputs: Mapping[str, object] | None = None,
        flow: AnyFlow | None = None,
        tags: Mapping[str, str] | None = None,
        allow_effects: bool = False,
        deadline: float | None = None,
        listener: Listener | None = None,
    ) -> flows.Run:
        """Run a recorded run's flow once more, with its record in the place of what need not be done anew.

        See `surefoot.fork`.
        """
        with self.entered():
            return flows.fork(
                *(run, from_step),
                changes=changes,
                inputs=inputs,
                flow=flow,
                tags=tags,
                allow_effects=allow_effects,
                deadline=deadline,
                listener=listener,
            )

    async def fork_async(
        self,
        run: str | flows.Run,
        from_step: str | None = None,
        *,
        changes: Sequence[flows.Change | str] = (),
        inputs: Mapping[str, object] | None = None,
        flow: AnyFlow | None = None,
        tags: Mapping[str, str] | None = None,
        allow_effects: bool = False,
        deadline: float | None = None,
        listener: Listener | None = None,
    ) -> flows.Run:
        """`fork` for async code."""
        with self.entered():
            return await flows.fork_async(
                *(run, from_step),
                changes=changes,
                inputs=inputs,
                flow=flow,
                tags=tags,
                allow_effects=allow_effects,
                deadline=deadline,
                listener=listener,
            )

    def cancel(self, run_id: str, *, reason: str = "", wait: float = 0.0) -> flows.Run:
        """Ask for the end of a run, in whichever process it is; the run as it is then.

        The request is durable. The process that holds the run ends it at its next step, an async flow where it
        awaits: then its status is `cancelled`, for good, and its child runs are cancelled too. A run that nobody holds
        is ended here. `wait` is how many seconds to wait for that; without it the status may still be `running`.
        Cancelling a cancelled run does nothing. Raises `UnknownRun`, `RunEnded` for a completed run and `Compensated`
        for one of which everything is undone; `RunCancelled` and `InDoubt` where its compensations were run here, and
        some failed or are in doubt.
        """
        with self.entered():
            logic = flows.cancel(self.ledger.run(run_id), reason=reason, wait=wait)
            return flows.Run(flows.drive(logic), self)

    async def cancel_async(self, run_id: str, *, reason: str = "", wait: float = 0.0) -> flows.Run:
        """`cancel` for async code."""
        with self.entered():
            logic = flows.cancel(self.ledger.run(run_id), reason=reason, wait=wait)
            return flows.Run(await flows.drive_async(logic), self)

    def send(self, run_id: str, event: str, value: object = None) -> None:
        """Send an event to a run, which takes it where it calls `wait_for`. See `surefoot.send`."""
        with self.entered():
            flows.send(run_id, event, value)

    async def send_async(self, run_id: str, event: str, value: object = None) -> None:
        """`send` for async code outside of runs."""
        with self.entered():
            await flows.drive_async(flows.deliver(run_id, event, value, message_id=new_id()))

    def approvals(self, run_id: str) -> list[flows.Request]:
        """The calls of a run that wait for somebody who approves their arguments. Raises `UnknownRun`."""
        return flows.waiting_in(self.ledger, self.ledger.run(run_id).id)

    def approve(
        self, run_id: str, *, by: str, step: str | None = None, deny: bool = False, reason: str = ""
    ) -> flows.Request:
        """Approve the arguments of a call that waits for it (`@step(untrusted="approve")`), or deny them.

        What is approved are these arguments of this step, once; `by` says who has seen them. `step` is the step's name,
        or the beginning of the key of the request, where several wait. The answer is recorded in the run, which takes
        it at once, or when it is resumed. Raises `UnknownRun`, `RunEnded`, `InvalidInput` without a name, and
        `UsageError` where nothing waits, or several do and none is named.
        """
        with self.entered():
            record = self.ledger.run(run_id)
            flows.refuse_ended(record)
            request = flows.meant(flows.waiting_in(self.ledger, record.id), record.id, step)
            flows.drive(flows.answer(request, flows.Answer(not deny, by, reason)))
            return request

    def score_online(self, *names: str, every: float = 60.0) -> Watch:
        """Score runs of production in the background of this process, as `[online.NAME]` says; all of them by default.

        Every so many seconds a thread looks for runs that have completed, here or elsewhere, and scores those of the
        sample that nobody has scored. Runs do not wait for it and do not fail by it. `close` lets what is being judged
        end. A child that is forked scores nothing: call it in each process that is to.

        Raises `InvalidInput`, `ConfigError` and `UnknownModel` for judges that cannot be asked, and what importing
        what the settings name raises.
        """
        from surefoot.evals.online import Watch, declared

        with self.entered():
            samples = declared(self, names)
            watch = Watch(samples, self, every=every)
        self._watches.append(watch)
        return watch

    def export(self) -> None:
        """Send traces to `[traces.NAME]` in the background of this process from now on, as each run begins to, too.

        A child that is forked begins anew. `close` sends what is owed, for some seconds. Raises `LedgerError`, and
        `MissingExtra` without the extra `otel`.
        """
        names = [name for name, given in self.config.traces.items() if given.background]
        if not names:
            return
        from surefoot.traces.exporter import Exporter
        from surefoot.traces.metering import Meter

        with self._beginning:
            if self._exporter is None or self._exporter.process != os.getpid():
                is_read = any(self.config.traces[name].metrics for name in names)
                if is_read and (self.meter is None or self._exporter is not None):
                    # A child that is forked counts for itself.
                    self.meter = Meter()
                exporter = Exporter(self.ledger, self.config, *names, meter=self.meter)
                exporter.start()
                self._exporter = exporter

    def traces_behind(self) -> Mapping[str, Standing]:
        """How far each receiver of traces is, by its name. Raises `LedgerError`."""
        if not self.config.traces:
            return {}
        from surefoot.traces.exporter import Exporter

        return Exporter(self.ledger, self.config).standing()

    def close(self) -> None:
        """Write what is queued and close the ledger, and the connections to databases and to Redis."""
        with ExitStack() as closing:
            # From the last to the first, whatever fails or is interrupted: what is queued gets into the ledger.
            closing.callback(self.ledger.close)
            if (redis := vars(self).get("redis")) is not None:
                closing.callback(redis.close)
            closing.callback(self.databases.close)
            closing.callback(self.breakers.close)
            while self._watches:
                closing.callback(self._watches.pop().close)
            if self._exporter is not None:
                closing.callback(self._exporter.close)

    # What a run asks of its host (`surefoot.flows.Host`)

    @property
    def ceilings(self) -> flows.Ceilings:
        """What bounds a run that does not say otherwise."""
        runs = self.config.runs
        return flows.Ceilings(
            *(runs.deadline, runs.max_steps, runs.max_calls, Money.dollars(runs.max_cost), runs.max_depth)
        )

    def prepare(self) -> None:
        """Before each run: the state folder and the hook under SDK clients."""
        self.settings.ensure_state_dir()
        models.install()
        if self.config.traces and not self._is_mute:
            try:
                self.export()
            except MissingExtra as error:
                # A run does not fail by what is told of it.
                self._is_mute = True
                scope.logger("surefoot.traces").error("no traces are sent: %s", error)

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

    def rights(self, confined: flows.Confined, *, run_id: str = "") -> Rights | None:
        """What a version of a flow may use. See `surefoot.flows.Host.rights`."""
        return self.access.confining.rights(confined, run_id=run_id)

    def refused(
        self, confined: flows.Confined, kind: str, name: str, because: str, *, run_id: str = ""
    ) -> AccessDenied:
        """The error of a run that may not use something. See `surefoot.flows.Host.refused`."""
        return self.access.confining.refused(confined, kind, name, because, run_id=run_id)

    def client(self, kind: type) -> object | None:
        """An SDK client of this class from the connection of its provider; None if the class is no SDK client."""
        return self.endpoints.client(kind)

    def target(self, reference: str) -> models.Target:
        """Where the calls of `NAME:MODEL` go, NAME a connection or a provider, or of a well-known model alone.

        Raises `UnknownModel`, and `ConfigError` where the connection lacks something.
        """
        return self.endpoints.target(reference)

    # For tests

    def cassette(self, run_id: str = "last") -> models.Cassette:
        """The model calls of a run and its child runs, to be saved beside a test and given to `recorded`.

        `run_id` may be the beginning of one, or `last`. The bodies are those that people may read: what the privacy of
        the ledger hides is not in it. Raises `UnknownRun`, `RunPruned` where they are gone, and `LedgerError`.
        """
        from surefoot import traces

        return traces.taped(self.ledger, [self.ledger.run(run_id)])

    def recorded_calls(self, run_id: str) -> models.Cassette:
        """What `cassette` gives, exactly as it was, for giving the answers again: it cannot be saved."""
        from surefoot import traces

        return traces.taped(self.ledger, [self.ledger.run(run_id)], is_readable=False)

    # What people see (`surefoot.flows.Host`)

    def card(self, run_id: str = "last") -> Card:
        """A run at a glance, by its id, the beginning of it, or `last`; a notebook shows it as HTML.

        Raises `UnknownRun` and `LedgerError`.
        """
        from surefoot import traces

        return traces.card(traces.trace(self.ledger, run_id))

    def costs(
        self,
        by: Facet | Sequence[Facet] = "model",
        *,
        flow: str | None = None,
        tenant: str | None = None,
        principal: str | None = None,
        since: datetime | timedelta | None = None,
        until: datetime | None = None,
        zone: tzinfo = UTC,
    ) -> Costs:
        """What model calls have cost, in groups by one or several of flow, model, provider, prompt, tenant, principal,
        session, day and month.

        since, until: of calls that ended in this time; a time without an offset is UTC, a `timedelta` goes back from
            now.
        zone: the time zone whose days and months are meant.

        Raises `InvalidInput` and `LedgerError`.
        """
        from surefoot import traces

        if isinstance(since, timedelta):
            since = datetime.now(UTC) - since
        return traces.costs(
            self.ledger,
            by,
            flow=flow,
            tenant=tenant,
            principal=principal,
            since_ns=_wall_ns(since),
            until_ns=_wall_ns(until),
            zone=zone,
        )

    def estimate(
        self, flow: AnyFlow | str, *, runs: int = 50, tenant: str = "", principal: str = ""
    ) -> Estimate:
        """What a run of a flow may cost and hold, by its newest `runs` completed ones at the prices of today.

        flow: the flow, `FILE.py:NAME`, or its name in the ledger.
        tenant, principal: for whom it would be made, for the budgets that it would draw from.

        A flow is code, and what it will ask is known by what it has asked alone: without such runs all is 0. Raises
        `UnknownFlow` for a name that no run has, and `LedgerError`.
        """
        from surefoot import traces, wiring

        if isinstance(flow, str) and ":" not in flow:
            name = traces.known_flow(self.ledger, flow)
        else:
            name = flows.find_spec(flow)[1].name
        caller = Caller(("a new run",), (name,), tenant, principal)
        budgets = self.budgeting
        cap = None if budgets is None else budgets.cap_output(caller)

        def weigh(load: models.Load) -> Money:
            return wiring.worst_of(load, self.policy, self.endpoints.connections, cap)

        accounts = [] if budgets is None else budgets.accounts_of(caller)
        return traces.estimate(self.ledger, name, weigh, runs=runs, budgets=accounts)

    def budgets(self, *, runs: int = 20) -> list[Account]:
        """The accounts of all budgets as they stand: whose, what may be spent, what is, and what is held and left.

        Of a budget that each run has, those of the newest `runs`. Raises `LedgerError`.
        """
        return [] if self.budgeting is None else self.budgeting.accounts(runs=runs)

    def shadows(self, flow: str, *, since: datetime | timedelta | None = None) -> Shadows:
        """How often the strong model of a `Tiered` or `Router` with a `shadow_rate` says what the cheap one said.

        since: of runs that began in this time; a time without an offset is UTC, a `timedelta` goes back from now.

        Raises `LedgerError`.
        """
        from surefoot import traces

        if isinstance(since, timedelta):
            since = datetime.now(UTC) - since
        return traces.shadows(self.ledger, flow, since_ns=_wall_ns(since) or 0)

    def watching(self) -> AbstractContextManager[Listener | None]:
        """In a notebook, who shows the progress of a run in its cell; elsewhere nobody."""
        if self.is_quiet or "ipykernel" not in sys.modules:
            return nullcontext()
        from surefoot import notebook

        shell = notebook.shell()
        return nullcontext() if shell is None else notebook.showing(shell, self.card)

    def _options(
        self,
        tags: RunTags | None,
        key: str | None,
        wait: float,
        deadline: float | None,
        listener: Listener | None,
    ) -> Options:
        if key is not None and not key.strip():
            raise InvalidInput(
                "the key of a run is empty: give a text that names what the run is for, or none"
            )
        return flows.Options(
            tags=tags or RunTags(),
            listener=listener,
            run_key=key,
            wait=wait,
            deadline=_ahead(deadline),
            explains=True,
        )

    def _target(
        self, flow: AnyFlow | str, inputs: Mapping[str, object] | None, init: Mapping[str, object] | None
    ) -> tuple[flows.Target, bool]:
        found, spec = flows.find_spec(flow)
        values = flows.checked(spec, inputs or {})
        return flows.target_of(found, spec, values, init=init or {}, make_client=self.client), spec.is_async

    def _resume(
        self, record: RunRecord, flow: AnyFlow | None, options: Options
    ) -> tuple[flows.Logic[object], bool]:
        found, spec = flows.find_spec(flow if flow is not None else flows.load(record.entry))

        def make(inputs: Mapping[str, Any], init: Mapping[str, Any]) -> flows.Target:
            return flows.target_of(found, spec, inputs, init=init, make_client=self.client)

        return flows.resume(record, make, options), spec.is_async


def _wall_ns(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    passed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    return passed // timedelta(microseconds=1) * 1_000


def _ahead(deadline: float | None) -> float | None:
    """A deadline that was given, which has to lie ahead."""
    if deadline is not None and not deadline > 0:
        raise InvalidInput(f"the deadline of a run is {deadline}: give seconds above 0")
    return deadline
