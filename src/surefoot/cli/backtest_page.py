"""A backtest in a terminal: what it will make, what it took and made, and the comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.cli import compare_page, screen, words

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.evals.backtesting import Backtest, Forecast
    from surefoot.evals.comparing import Verdict
    from surefoot.ledger import Totals


def print_forecast(console: Console, expected: Forecast) -> None:
    """What is taken from the record and what is made, as far as that is known before."""
    recorded, least, most = expected.recorded, expected.least, expected.most
    console.print(
        f"{words.counted(expected.runs, 'run')} with {words.counted(recorded.steps, 'step')} and "
        f"{words.counted(recorded.calls, 'model call')}"
    )
    console.print(f"  made anew in any case: {_figures(least)}")
    if most != least:
        console.print(f"  at most, where the inputs of what follows change: {_figures(most)}")


def print_backtest(console: Console, result: Backtest, verdict: Verdict | None) -> None:
    """The comparison, then what was saved and paid."""
    comparison = result.comparison if verdict is None else verdict.comparison
    compare_page.print_comparison(console, comparison, verdict)
    taken, made = result.reuse.taken, result.reuse.made
    console.print(screen.styled(("backtest ", "dim"), result.candidate.id))
    console.print(f"  taken from the record: {_figures(taken)} saved")
    console.print(f"  made anew:             {_figures(made)}")
    if result.candidate.judging.calls or result.baseline.judging.calls:
        judging = result.candidate.judging + result.baseline.judging
        console.print(f"  judges:                {_figures(judging)}")
    for reason, count in result.left_out.items():
        console.print(screen.styled((f"  left out: {words.counted(count, 'run')}: {reason}", "dim")))
    for row in result.candidate.failed[:5]:
        said = screen.harmless(f"  fork {row.run_id} of {row.case} failed: {row.error}")
        console.print(screen.styled((said, "red")), soft_wrap=True)
    notes = (*result.warnings, *result.candidate.warnings)
    for warning in notes:
        console.print(screen.styled((screen.harmless(f"  {warning}"), "yellow")), soft_wrap=True)


def _figures(totals: Totals) -> str:
    return (
        f"{words.counted(totals.steps, 'step')}, {words.counted(totals.calls, 'model call')}, "
        f"{words.total_cost(totals)}"
    )
