"""Two experiments that were held against each other: their comparison, what a gate says of it, and the whole cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.cli.gating import Gating
    from surefoot.evals import Pair
    from surefoot.evals.comparing import Comparison, Verdict
    from surefoot.values import Json


def has_rows(pair: Pair) -> bool:
    """Whether there is anything to compare: not where one was stopped before its first case."""
    return bool(pair.candidate.rows and pair.baseline.rows)


def show(pair: Pair, verdict: Verdict | None, gating: Gating, *, as_json: bool) -> None:
    """Print and write what came out, judged or not."""
    from surefoot.cli import compare_page, screen

    comparison = verdict.comparison if verdict is not None else _compared(pair)
    if comparison is None:
        if as_json:
            screen.print_json({"gate": None, **_json(pair, None)})
        else:
            _print_rest(screen.out(), pair)
        if gating.given:
            told = f"nothing is compared, so {' and '.join(gating.given)} tell of nothing: an arm has no judged case"
            screen.err().print(screen.styled((told, "yellow")), soft_wrap=True)
        return

    def page() -> None:
        compare_page.print_comparison(screen.out(), comparison, verdict)
        _print_rest(screen.out(), pair)

    gating.tell(comparison, verdict, as_json=_json(pair, comparison) if as_json else None, page=page)
    if gating.is_on_stdout and not as_json:
        _print_rest(screen.err(), pair)


def _compared(pair: Pair) -> Comparison | None:
    from surefoot.evals.comparing import compare

    return compare(pair.candidate, pair.baseline) if has_rows(pair) else None


def _json(pair: Pair, comparison: Comparison | None) -> dict[str, Json]:
    from surefoot.cli.words import totals_json

    return {
        "comparison": None if comparison is None else comparison.to_json(),
        "candidate": pair.candidate.to_json(),
        "baseline": pair.baseline.to_json(),
        "spent": totals_json(pair.spent),
        "warnings": list(pair.warnings),
    }


def _print_rest(console: Console, pair: Pair) -> None:
    """What both and their judges have cost, then what a reader has to know."""
    from surefoot.cli import screen

    console.print(screen.styled((screen.terms(console, _spent_terms(pair)), "dim")))
    own = [each for found in (pair.candidate, pair.baseline) for each in found.warnings]
    for warning in (*pair.warnings, *dict.fromkeys(own)):
        console.print(screen.styled((screen.harmless(warning), "yellow")), soft_wrap=True)


def _spent_terms(pair: Pair) -> list[str]:
    """`in all $0.0123 (candidate $0.0070, baseline $0.0053)`, then calls and tokens."""
    from surefoot.cli import words

    spent = pair.spent
    parts = [f"candidate {words.total_cost(pair.candidate.totals)}"]
    if pair.is_run_together:
        parts.append(f"baseline {words.total_cost(pair.baseline.totals)}")
    if pair.judging.calls:
        parts.append(f"judges {words.total_cost(pair.judging)}")
    before = (
        []
        if pair.is_run_together
        else [f"the baseline was there, for {words.total_cost(pair.baseline.totals)}"]
    )
    terms = [f"in all {words.total_cost(spent)} ({', '.join(parts)})", words.counted(spent.calls, "call")]
    return [*terms, *([words.tokens(spent.usage)] if spent.calls else []), *before]
