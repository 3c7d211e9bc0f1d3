"""What the runs of an experiment have used: versions of prompts, the models that its judges asked, and money."""

from __future__ import annotations

from surefoot.ledger.listing import Query
from surefoot.ledger.rows import clean
from surefoot.ledger.store import Ledger
from surefoot.values import Money, first_id

_PROMPTS = (
    "SELECT p.name, p.digest, COUNT(*) FROM experiment_cases c JOIN prompt_pins p ON p.run_id = c.run_id "
    "WHERE c.experiment = ? AND p.reference NOT LIKE '@tool %'{of_tenant} GROUP BY p.name, p.digest "
    "ORDER BY 3, p.name, p.digest"
)
_MODELS = (
    "SELECT DISTINCT o.served_model FROM scores s JOIN outcomes o ON o.run_id = s.judge_run "
    "WHERE s.experiment = ? AND s.metric = ? AND s.judge_run <> '' AND o.served_model IS NOT NULL{of_tenant}"
)

_SPENT = (
    "SELECT coalesce(sum(r.cost_nanos), 0), coalesce(min(r.is_cost_complete), 1) FROM run_tags t "
    "JOIN runs r ON r.id = t.run_id WHERE t.name = 'experiment' AND t.value = ? AND t.run_id >= ?"
)


def prompts_in(ledger: Ledger, experiment: str, *, tenant: str | None = None) -> dict[str, str]:
    """What the prompts meant in the runs of an experiment, name to digest; of several that of most runs.

    Raises `LedgerError`.
    """
    query = _of_tenant(_PROMPTS, (experiment,), "c", tenant)
    return {name: digest for name, digest, _ in ledger.ask(query)}


def models_judging(
    ledger: Ledger, experiment: str, metric: str, *, tenant: str | None = None
) -> tuple[str, ...]:
    """The models that answered the calls of a metric's judge in an experiment, sorted. Raises `LedgerError`."""
    query = _of_tenant(_MODELS, (experiment, metric), "s", tenant)
    return tuple(sorted(row[0] for row in ledger.ask(query)))


def spent_in(ledger: Ledger, experiment: str, *, since_ns: int) -> tuple[Money, bool]:
    """What the runs of an experiment that began at `since_ns` or later have cost, and whether all prices were known.

    A run counts when it has ended. Raises `LedgerError`.
    """
    found = ledger.ask((_SPENT, (clean(experiment), first_id(since_ns))))
    return (Money(int(found[0][0])), bool(found[0][1])) if found else (Money(), True)


def _of_tenant(statement: str, values: tuple[str, ...], table: str, tenant: str | None) -> Query:
    """A statement about the rows of one tenant, or of all."""
    if tenant is None:
        return statement.format(of_tenant=""), values
    return statement.format(of_tenant=f" AND {table}.tenant = ?"), (*values, clean(tenant))
