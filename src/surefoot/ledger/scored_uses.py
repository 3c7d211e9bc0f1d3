"""What the runs of an experiment have used: versions of prompts, the models that its judges asked, and money."""

from __future__ import annotations

from surefoot.ledger.prompt_rows import clean
from surefoot.ledger.store import Ledger
from surefoot.values import Money, first_id

_PROMPTS = (
    "SELECT p.name, p.digest, COUNT(*) FROM experiment_cases c JOIN prompt_pins p ON p.run_id = c.run_id "
    "WHERE c.experiment = ? AND p.reference NOT LIKE '@tool %' GROUP BY p.name, p.digest ORDER BY 3, p.name, p.digest"
)
_MODELS = (
    "SELECT DISTINCT o.served_model FROM scores s JOIN outcomes o ON o.run_id = s.judge_run "
    "WHERE s.experiment = ? AND s.metric = ? AND s.judge_run <> '' AND o.served_model IS NOT NULL"
)

_SPENT = (
    "SELECT coalesce(sum(r.cost_nanos), 0), coalesce(min(r.is_cost_complete), 1) FROM run_tags t "
    "JOIN runs r ON r.id = t.run_id WHERE t.name = 'experiment' AND t.value = ? AND t.run_id >= ?"
)


def prompts_in(ledger: Ledger, experiment: str) -> dict[str, str]:
    """What the prompts meant in the runs of an experiment, name to digest; of several that of most runs.

    Raises `LedgerError`.
    """
    return {name: digest for name, digest, _ in ledger.ask((_PROMPTS, (experiment,)))}


def models_judging(ledger: Ledger, experiment: str, metric: str) -> tuple[str, ...]:
    """The models that answered the calls of a metric's judge in an experiment, sorted. Raises `LedgerError`."""
    return tuple(sorted(row[0] for row in ledger.ask((_MODELS, (experiment, metric)))))


def spent_in(ledger: Ledger, experiment: str, *, since_ns: int) -> tuple[Money, bool]:
    """What the runs of an experiment that began at `since_ns` or later have cost, and whether all prices were known.

    A run counts when it has ended. Raises `LedgerError`.
    """
    found = ledger.ask((_SPENT, (clean(experiment), first_id(since_ns))))
    return (Money(int(found[0][0])), bool(found[0][1])) if found else (Money(), True)
