"""A comparison as people read it in a terminal: the verdict, the table, then the cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from surefoot.evals.comparing import wording

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from surefoot.evals.comparing import Comparison, Contrast, Moved, Ruling, Verdict

_CASES = 5
_SLICES = 12
_STYLES = {"improved": "green", "worse": "bold red", "equivalent": "dim", "too few cases": "yellow"}


def print_comparison(console: Console, comparison: Comparison, verdict: Verdict | None = None) -> None:
    """The verdict line first."""
    from surefoot.cli import screen

    if verdict is not None:
        _print_verdict(console, verdict)
    said = wording.headline(comparison)
    style = "bold" if verdict is not None else _style_of(said)
    console.print(screen.styled((screen.harmless(said), style)), soft_wrap=not console.is_terminal)
    _print_arms(console, comparison)
    _print_table(console, comparison)
    _print_notes(console, comparison)
    _print_slices(console, comparison)
    for title, cases in (("worse", comparison.worse), ("better", comparison.better)):
        _print_cases(console, title, cases)


def _style_of(said: str) -> str:
    if said.startswith("worse"):
        return "bold red"
    return "bold green" if said.startswith("improved") else "bold yellow"


def _print_verdict(console: Console, verdict: Verdict) -> None:
    from surefoot.cli import screen

    style = "bold green" if verdict.has_passed else "bold red"
    console.print(screen.styled((screen.harmless(verdict.headline), style)))
    for each in verdict.failed:
        console.print(_ruling(each, "red"), soft_wrap=True)
    for each in verdict.rulings:
        if each.standing == "not judged":
            console.print(_ruling(each, "yellow"), soft_wrap=True)


def _ruling(each: Ruling, style: str) -> Text:
    from surefoot.cli import screen

    return screen.styled((f"  {screen.harmless(each.name)}: ", style), screen.harmless(each.reason))


def _print_arms(console: Console, comparison: Comparison) -> None:
    from surefoot.cli import screen, words

    for which, arm in (("candidate", comparison.candidate), ("baseline ", comparison.baseline)):
        named = f"  {arm.name}" if arm.name else ""
        of = f"{words.counted(arm.cases, 'case')} of {arm.dataset}"
        failed = f", {arm.failed} failed" if arm.failed else ""
        changed = f", with {', '.join(words.change(one) for one in arm.changes)}" if arm.changes else ""
        flow = f"  flow {arm.flow}{f' {arm.flow_version}' if arm.flow_version else ''}"
        rest = screen.harmless(f"{named}{flow}, {of}{failed}{changed}")
        console.print(screen.styled((f"{which}  ", "dim"), arm.id, (rest, "dim")), soft_wrap=True)
    after, before = comparison.differing
    for name in after:
        change = f"{before[name][:8] or 'none'} -> {after[name][:8] or 'none'}"
        console.print(screen.styled((f"prompt {screen.harmless(name)}: {change}", "dim")))
    alone = wording.cases_alone(comparison)
    paired = f"{words.counted(comparison.pairs, 'case')} paired"
    console.print(screen.styled((paired, "dim"), (f", {alone}" if alone else "", "yellow")))


def _print_table(console: Console, comparison: Comparison) -> None:
    table = _table(comparison.alpha)
    for each in comparison.contrasts:
        _add(table, each)
    for ratio in wording.spent(comparison):
        style = "" if ratio.interval is None or ratio.interval.low <= 1 <= ratio.interval.high else "bold"
        cells = [f"{ratio.figure} per run", wording.figure(ratio.baseline, ratio)]
        cells += [wording.figure(ratio.candidate, ratio), wording.multiple(ratio), wording.multiples(ratio)]
        table.add_row(*cells, "", "", str(ratio.n), style=style)
    console.print(table)


def _table(alpha: float) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    interval = f"{(1 - alpha) * 100:.4g}% INTERVAL"
    columns = ("METRIC", "BASELINE", "CANDIDATE", "CHANGE", interval, "P", "EFFECT", "SCORED")
    for column in columns:
        left = column in ("METRIC", "EFFECT")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    return table


def _add(table: Table, each: Contrast) -> None:
    """A row of the table; labels have none, as they have no change."""
    from surefoot.cli import screen

    if each.kind == "labels" and not each.omitted:
        return
    name = screen.harmless(f"{each.metric} [{each.slice}]" if each.slice else each.metric)
    if each.omitted:
        table.add_row(name, "-", "-", "-", "-", "-", "not compared", "-", style="yellow")
        return
    shown = wording.effect(each)
    cells = [wording.number(level.paired, each.kind) for level in (each.baseline, each.candidate)]
    cells += [wording.signed(each.delta, each.kind), wording.between(each.interval, each.kind)]
    cells += [wording.p_value(each.adjusted_p), shown, wording.coverages(each)]
    table.add_row(name, *cells, style=_STYLES.get(shown, ""))
    if each.as_judged is not None:
        beside = [*wording.as_judged(each), "", each.as_judged.effect or "", ""]
        table.add_row("  as judged", *beside, style="dim")


def _print_notes(console: Console, comparison: Comparison) -> None:
    """What the figures alone do not say."""
    from surefoot.cli import screen

    notes = [(warning, "yellow") for warning in comparison.warnings]
    failures: dict[str, list[str]] = {}
    for each in comparison.contrasts:
        if each.omitted:
            notes.append((f"{each.metric} is not compared: {each.omitted}", "yellow"))
        elif each.kind == "labels":
            notes.append((f"{each.metric}: {wording.shifted(each)}", "bold" if each.has_shifted else "dim"))
        if (said := wording.carried(each)) and not each.omitted:
            notes.append((f"{each.metric}: {said}", "dim" if each.as_judged is not None else "yellow"))
        if said := wording.counted_failures(each):
            failures.setdefault(said, []).append(each.metric)
        if said := wording.hint(each):
            notes.append((f"{each.metric}: {said}", "dim"))
    notes += [(f"{', '.join(metrics)}: {said}", "yellow") for said, metrics in failures.items()]
    notes += [(f"{one.figure}: {one.note}", "dim") for one in wording.spent(comparison) if one.note]
    for text, style in notes:
        shown = screen.brief(screen.harmless(text), max(2 * console.width - 4, 40))
        console.print(screen.styled((f"  {shown}", style)))


def _print_slices(console: Console, comparison: Comparison) -> None:
    """The slices in which something is shown, then how many others there are."""
    from surefoot.cli import screen, words

    if not comparison.slices:
        return
    every = [each for one in comparison.slices for each in one.contrasts if not each.omitted]
    telling = [each for each in every if each.effect in ("worse", "improved")]
    telling.sort(key=lambda each: each.effect != "worse")
    large = sum(not one.is_too_small for one in comparison.slices)
    said = "where something is shown" if telling else "in none of which anything is shown"
    console.print(screen.styled((f"{words.counted(large, 'slice')}, {said}", "bold")))
    if telling:
        table = _table(comparison.alpha)
        for each in telling[:_SLICES]:
            _add(table, each)
        console.print(table)
    if len(telling) > _SLICES:
        console.print(screen.styled((f"  and {len(telling) - _SLICES} more (--json)", "dim")))
    small = [f"{one.name} ({one.n})" for one in comparison.slices if one.is_too_small]
    if small:
        shown = screen.brief(screen.harmless(", ".join(small)), max(console.width - 18, 40))
        console.print(screen.styled((f"  too few cases: {shown}", "dim")))


def _print_cases(console: Console, title: str, cases: Sequence[Moved]) -> None:
    from surefoot.cli import screen, words

    if not cases:
        return
    more = f", the {_CASES} biggest" if len(cases) > _CASES else ""
    console.print(
        screen.styled(
            (f"{words.counted(len(cases), 'case')} {title}{more}", "bold"), (" (surefoot show RUN)", "dim")
        )
    )
    width = min(max(len(each.case) for each in cases[:_CASES]), 24)
    for each in cases[:_CASES]:
        changes = ", ".join(f"{name} {_short(was)} -> {_short(now)}" for name, was, now in each.metrics)
        reason = f"  {each.reason}" if each.reason else ""
        used = width + len(each.candidate_runs[0]) + 6
        said = screen.brief(screen.harmless(changes + reason), max(console.width - used, 30))
        name = screen.harmless(screen.brief(each.case, width))
        console.print(f"  {name:<{width}}  {each.candidate_runs[0]}  {said}", soft_wrap=True)


def _short(value: float) -> str:
    return f"{value:.3g}"
