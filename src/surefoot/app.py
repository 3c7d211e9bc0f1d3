"""The app: the settings found from the working directory, and all that can be done with what they wire up."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from surefoot import flows, models, scope
from surefoot.errors import InvalidInput, MissingExtra
from surefoot.locks import ForkSafeLock
from surefoot.reports import Reports
from surefoot.values import Money, RunTags, new_id

if TYPE_CHECKING:
    from surefoot.access import Principal
    from surefoot.config import Loaded
    from surefoot.errors import AccessDenied
    from surefoot.evals.online import Watch
    from surefoot.flows import AnyFlow, Decision, Listener, Options
    from surefoot.ledger import RunRecord
    from surefoot.rights import Rights
    from surefoot.traces.exporter import Exporter
    from surefoot.traces.metering import Meter

_lock = ForkSafeLock()
_apps: dict[str, App] = {}
_current: ContextVar[App | None] = ContextVar("surefoot_app", default=None)


class App(Reports):
    """Ledger, prompts, models and collections of one project.

    `App.current()` is the one of the working directory; `App(load(folder))` is one of its own. Flows that are called
    directly run in the current app, flows given to `run` in this one.
    """

    def __init__(self, settings: Loaded | None = None) -> None:
        """Raises `ConfigError`. Nothing is opened or started before it is needed."""
        super().__init__(settings)
        self.meter: Meter | None = None
        """What counts what runs record in this process; None where nobody reads it."""
        self._watches: list[Watch] = []
        self._exporter: Exporter | None = None
        self._beginning = ForkSafeLock()
        self._is_mute = False

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


def _ahead(deadline: float | None) -> float | None:
    """A deadline that was given, which has to lie ahead."""
    if deadline is not None and not deadline > 0:
        raise InvalidInput(f"the deadline of a run is {deadline}: give seconds above 0")
    return deadline
