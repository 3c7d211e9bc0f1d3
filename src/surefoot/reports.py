"""What an app can tell of its runs, as its ledger has them: cards, tapes, costs, estimates, budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from surefoot import flows, models
from surefoot.inventory import Inventory
from surefoot.values import Caller, Money

if TYPE_CHECKING:
    from surefoot.flows import AnyFlow
    from surefoot.ledger import Account
    from surefoot.traces import Card, Costs, Estimate, Facet, Shadows
    from surefoot.traces.exporter import Standing


class Reports(Inventory):
    """An inventory that tells of its runs."""

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

    def traces_behind(self) -> Mapping[str, Standing]:
        """How far each receiver of traces is, by its name. Raises `LedgerError`."""
        if not self.config.traces:
            return {}
        from surefoot.traces.exporter import Exporter

        return Exporter(self.ledger, self.config).standing()

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


def _wall_ns(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    passed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.fromtimestamp(0, UTC)
    return passed // timedelta(microseconds=1) * 1_000
