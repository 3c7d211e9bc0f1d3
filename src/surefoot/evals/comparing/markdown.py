"""A comparison as Markdown for a pull request: the verdict, a compact table, and what is folded below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from surefoot.evals.comparing import wording
from surefoot.evals.comparing.comparison import Comparison, Contrast, Moved, Slice
from surefoot.evals.comparing.verdict import Verdict

MOST_CASES = 10
"""Cases that are listed of each kind."""

MOST_LINES = 40
"""Rows of a table, and rules in a list: a comment on GitHub holds 65,536 characters."""

_TEXT = 200
_EFFECT = 6
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-!|~$])")
_NO_ID = re.compile(r"[^\w.#:/+ -]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_MARKS = {"improved": "🟢", "worse": "🔴", "equivalent": "⚪", "too few cases": "🟡"}


def markdown(comparison: Comparison, verdict: Verdict | None = None) -> str:
    """Lines of GitHub's Markdown. Whatever comes of data is escaped: it makes no markup and calls nobody."""
    return "\n".join(_lines(comparison, verdict)) + "\n"


def _lines(comparison: Comparison, verdict: Verdict | None) -> Iterator[str]:
    said = wording.headline(comparison)
    if verdict is None:
        yield f"### {escaped(said[:1].upper() + said[1:], most=500)}"
    else:
        yield f"### {'✅' if verdict.has_passed else '❌'} {escaped(verdict.headline)}"
        yield ""
        failed = verdict.failed
        yield from (
            f"- **{escaped(each.name)}**: {escaped(each.reason, most=500)}" for each in failed[:MOST_LINES]
        )
        if len(failed) > MOST_LINES:
            yield f"- and {len(failed) - MOST_LINES} more"
        if failed:
            yield ""
        yield escaped(said, most=500)
    yield ""
    yield _pairs(comparison)
    yield ""
    yield from _table(comparison.contrasts, comparison.alpha)
    yield from _ratios(comparison)
    yield ""
    for warning in comparison.warnings:
        yield f"> ⚠️ {escaped(warning, most=500)}"
    if comparison.warnings:
        yield ""
    yield from _slices(comparison)
    for title, cases in (("got worse", comparison.worse), ("got better", comparison.better)):
        if cases:
            yield from _folded(f"{_counted(len(cases))} {title}", _cases(cases))
    yield from _folded("How this was judged", _method(comparison, verdict))


def _pairs(comparison: Comparison) -> str:
    ours, theirs = comparison.candidate, comparison.baseline
    alone = wording.cases_alone(comparison)
    return (
        f"`{_code(ours.id)}` ({escaped(ours.title)}) against `{_code(theirs.id)}` ({escaped(theirs.title)}), "
        f"{_counted(comparison.pairs)} of {escaped(ours.dataset)}{f' ({alone})' if alone else ''}"
    )


def _counted(count: int) -> str:
    return f"{count:,} case{'s' if count != 1 else ''}"


def _table(contrasts: Sequence[Contrast], alpha: float, *, sliced: bool = False) -> Iterator[str]:
    names = [
        "metric",
        "baseline",
        "candidate",
        "change",
        f"{(1 - alpha) * 100:.4g}% interval",
        "p",
        "",
        "scored",
    ]
    yield _row((["slice"] if sliced else []) + names)
    yield _row((["---"] if sliced else []) + ["---", "---:", "---:", "---:", "---:", "---:", "---", "---:"])
    for each in contrasts:
        cells = [each.metric]
        if each.omitted:
            cells += ["", "", "", "", "", escaped(each.omitted), ""]
        elif each.kind == "labels":
            cells += [wording.labels_of(each.baseline), wording.labels_of(each.candidate), "", ""]
            cells += [wording.p_value(each.adjusted_p), wording.effect(each), wording.coverages(each)]
        else:
            kind = each.kind
            cells += [wording.number(each.baseline.paired, kind), wording.number(each.candidate.paired, kind)]
            cells += [wording.signed(each.delta, kind), wording.between(each.interval, kind)]
            mark = _MARKS.get(each.effect or "", "")
            cells += [wording.p_value(each.adjusted_p), f"{mark} {each.effect}", wording.coverages(each)]
        shown = [escaped(cell) if place != _EFFECT else cell for place, cell in enumerate(cells)]
        yield _row(([escaped(each.slice)] if sliced else []) + shown)
        if each.as_judged is not None:
            beside = [
                "as judged",
                *map(escaped, wording.as_judged(each)),
                "",
                each.as_judged.effect or "",
                "",
            ]
            yield _row(([""] if sliced else []) + beside)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ratios(comparison: Comparison) -> Iterator[str]:
    for each in wording.spent(comparison):
        cells = [f"{each.figure} per run", wording.figure(each.baseline, each)]
        cells += [wording.figure(each.candidate, each), wording.multiple(each), wording.multiples(each)]
        yield _row([*map(escaped, cells), "", "", f"{each.n} cases"])


def _slices(comparison: Comparison) -> Iterator[str]:
    large = [each for each in comparison.slices if not each.is_too_small]
    if not comparison.slices:
        return
    contrasts = sorted(
        (each for one in large for each in one.contrasts),
        key=lambda each: (each.effect != "worse", each.effect != "improved"),
    )
    lines = list(_table(contrasts[:MOST_LINES], comparison.alpha, sliced=True)) if contrasts else []
    if len(contrasts) > MOST_LINES:
        lines += ["", f"and {len(contrasts) - MOST_LINES} more"]
    small = [each for each in comparison.slices if each.is_too_small]
    if small:
        lines += ["", f"Too few cases: {_small(small)}."]
    yield from _folded(f"{len(large)} slice{'' if len(large) == 1 else 's'}", lines)


def _small(small: Sequence[Slice]) -> str:
    shown = ", ".join(f"{escaped(each.name)} ({each.n})" for each in small[:MOST_LINES])
    return shown + (f" and {len(small) - MOST_LINES} more" if len(small) > MOST_LINES else "")


def _cases(cases: Sequence[Moved]) -> Iterator[str]:
    yield _row(["case", "change", "runs: candidate, baseline", "said of the candidate"])
    yield _row(["---", "---", "---", "---"])
    for each in cases[:MOST_CASES]:
        changes = ", ".join(
            f"{name} {wording.number(was)} → {wording.number(now)}" for name, was, now in each.metrics
        )
        runs = ", ".join(f"`{_code(run)}`" for run in (*each.candidate_runs[:1], *each.baseline_runs[:1]))
        yield _row([escaped(each.case), escaped(changes), runs, escaped(each.reason)])
    if len(cases) > MOST_CASES:
        yield ""
        yield f"and {len(cases) - MOST_CASES} more"


def _method(comparison: Comparison, verdict: Verdict | None) -> Iterator[str]:
    yield (
        f"Cases are paired, each counting once. A row without a score counts as the worst in both arms. p is adjusted "
        f"over all metrics and slices (Holm), alpha is {comparison.alpha:g}."
    )
    failures = [
        f"- {escaped(each.metric)}: {escaped(said, most=500)}"
        for each in comparison.contrasts
        if (said := wording.counted_failures(each))
    ]
    if failures:
        yield ""
        yield from failures
    corrections = [
        f"- {escaped(each.metric)}: {escaped(said, most=500)}"
        for each in comparison.contrasts
        if (said := wording.carried(each))
    ]
    if corrections:
        yield ""
        yield from corrections
    ours, theirs = comparison.differing
    if ours:
        yield ""
        yield from (
            f"- prompt {escaped(name)}: `{_code(theirs[name][:8]) or 'none'}` → `{_code(ours[name][:8]) or 'none'}`"
            for name in ours
        )
    if verdict is not None:
        yield ""
        yield f"Gate `{_code(verdict.gate.file or verdict.gate.name)}` ({verdict.gate.digest[:8]}):"
        yield ""
        for each in verdict.rulings[:MOST_LINES]:
            yield f"- {each.standing}: {escaped(each.name)}: {escaped(each.reason)}"


def _folded(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield f"<details><summary>{escaped(title)}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
    yield ""


def escaped(text: str, *, most: int = _TEXT) -> str:
    """A text on one line, cut, that makes no markup and mentions nobody."""
    plain = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    if len(plain) > most:
        plain = plain[: most - 1] + "…"
    return "".join(_ENTITIES.get(sign, sign) for sign in _SPECIAL.sub(r"\\\1", plain))


def _code(text: str) -> str:
    """An id or a path that may stand between backticks, in a table too."""
    return _NO_ID.sub("_", text)[:_TEXT]
