"""The frontier of cost and quality as `surefoot eval --frontier` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.evals import Frontier, Option

_MARK = "*"


def print_frontier(console: Console, frontier: Frontier) -> None:
    """The options as a table, then what to do."""
    from rich.table import Table

    from surefoot.cli import screen, words

    head = f"{frontier.flow}: {frontier.metric} of {words.counted(frontier.cases, 'case')}"
    console.print(screen.styled((head, "bold"), (f"  experiment {frontier.experiment}", "dim")))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    bound = "SHOWN" if frontier.target.is_absolute else "SHOWN SHARE"
    for column in ("OPTION", "COST/CASE", "QUALITY", "95 % INTERVAL", "ESCALATED", bound):
        table.add_column(
            column, justify="left" if column == "OPTION" else "right", no_wrap=column != "OPTION"
        )
    for option in frontier.options:
        style = "green" if option is frontier.recommended or _is(option, frontier.recommended) else ""
        table.add_row(*_cells(option), style=style)
    console.print(table)
    console.print(screen.styled((f"{_MARK} none is both cheaper and better", "dim")))
    saving = frontier.saving
    cost = "" if saving is None or saving == 1 else f"; {saving:.0%} of the cost of {frontier.reference}"
    console.print(screen.styled(("recommended  ", "bold"), f"{frontier.advice}{cost}"), soft_wrap=True)
    for warning in frontier.warnings:
        console.print(screen.styled((warning, "yellow")), soft_wrap=True)


def _is(option: Option, other: Option | None) -> bool:
    return other is not None and option.name == other.name


def _cells(option: Option) -> tuple[str, ...]:
    from surefoot.values import Money

    cost, interval, escalation = option.cost, option.interval, option.escalation
    quality = f"{option.quality:.0%}" if option.is_rate else f"{option.quality:.3f}"
    spread = ""
    if interval is not None:
        spread = " to ".join(f"{end:.0%}" if option.is_rate else f"{end:.3f}" for end in interval)
    return (
        f"{_MARK if option.is_best else ' '} {option.name}",
        # To a tenth of a micro-dollar: a mean has more digits than it deserves.
        "?" if cost is None else str(Money(round(cost / 100) * 100)),
        quality,
        spread,
        "" if escalation is None else f"{escalation:.0%}",
        f"{option.bound:.0%}",
    )
