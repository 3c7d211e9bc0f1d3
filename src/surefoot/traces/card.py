"""A run on a card: what a notebook shows of it, as HTML and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from surefoot.traces import figures
from surefoot.traces.spans import Standing

LineState = Literal["completed", "failed", "running", "kept", "cut off"]
"""`kept`: the outcome is of an earlier attempt at the run. `cut off`: it began and its process did not end it."""

MOST_LINES = 40

_MARKS: dict[LineState, str] = {"completed": "✓", "failed": "✗", "running": "•", "kept": "↺", "cut off": "-"}
_BAR_CELLS = 24

# Colours come from the theme of the page where it names them (JupyterLab, VS Code); everything else is inherited
# or a transparency of grey, which stands on light and on dark.
_GREEN = "var(--jp-success-color1,var(--vscode-charts-green,#3a9d5d))"
_RED = "var(--jp-error-color1,var(--vscode-errorForeground,#e0483e))"
_AMBER = "var(--jp-warn-color1,var(--vscode-charts-yellow,#c98a14))"
_BLUE = "var(--jp-info-color1,var(--vscode-charts-blue,#2b8fd0))"
_FAINT = "rgba(128,128,128,.16)"
_EDGE = "rgba(128,128,128,.35)"
_SANS = "var(--jp-ui-font-family,var(--vscode-font-family,system-ui,sans-serif))"
_MONO = "var(--jp-code-font-family,var(--vscode-editor-font-family,ui-monospace,monospace))"

_COLOUR: dict[LineState | Standing, str] = {
    "completed": _GREEN,
    "failed": _RED,
    "running": _BLUE,
    "kept": _GREEN,
    "cut off": _AMBER,
}


def _ink(colour: str) -> str:
    """A colour for text: nearer to the page's own, so that it can be read on light and on dark."""
    return f"color:color-mix(in srgb,{colour} 78%,currentColor)"


_CUT = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_QUIET = "opacity:.7"


@dataclass(frozen=True, slots=True)
class Line:
    """One attempt of a step on a card.

    `bar` is where it lies in the run's time, as begin and end in per cent; None where that is not shown.
    """

    name: str
    depth: int
    state: LineState
    took_ns: int | None = None
    bar: tuple[float, float] | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A run at a glance: its steps over time, its model calls, what it used, and how to go on if it failed.

    As the value of a notebook's cell it shows itself; `str(card)` is the same in text. `hidden` counts the steps
    that are not among `lines`. `advice` is the line that goes on with the run.
    """

    run_id: str
    flow: str
    state: Standing
    took_ns: int
    lines: tuple[Line, ...]
    hidden: int = 0
    totals: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""
    advice: str = ""

    def __repr__(self) -> str:
        took = figures.duration(self.took_ns)
        head = " · ".join([self.flow, f"{self.state} in {took}" if self.is_over else self.state, *self.notes])
        rows = [f"{head} · run {self.run_id}"]
        width = max((2 * line.depth + len(line.name) for line in self.lines), default=0)
        for line in self.lines:
            name = "  " * line.depth + line.name
            took = "" if line.took_ns is None else figures.duration(line.took_ns)
            rows.append(
                f"  {_MARKS[line.state]} {name:<{width}}  {_drawn(line.bar)}  {took:>9}  {line.detail}".rstrip()
            )
        if self.hidden:
            rows.append(f"  … {self._more}")
        rows.append(f"  {self.totals}")
        rows += [f"  {text}" for text in self.problem.splitlines()]
        if self.advice:
            rows.append(f"  go on: {self.advice}")
        return "\n".join(rows)

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """The card for a page; it brings its own style and needs nothing."""
        edge = _COLOUR.get(self.state, _AMBER)
        return (
            f'<div style="{FRAME};border-left:3px solid {edge}">'
            f"<div>{self.head_html()}</div>"
            f"{self.body_html()}</div>"
        )

    @property
    def is_over(self) -> bool:
        return self.state not in ("pending", "running", "waiting", "abandoned")

    def head_html(self) -> str:
        """One line: flow, status, time, run."""
        colour = _COLOUR.get(self.state, _AMBER)
        words = [figures.duration(self.took_ns), *self.notes]
        apart = "margin-left:.5em"
        return (
            f"<b>{escape(self.flow)}</b> "
            f'<span style="{_ink(colour)};font-weight:600;{apart}">{escape(self.state.replace("_", " "))}</span> '
            f'<span style="{_QUIET};{apart}">{escape(" · ".join(words))}</span> '
            f'<span style="font-family:{_MONO};font-size:.85em;{_QUIET};{apart}">{escape(self.run_id)}</span>'
        )

    def body_html(self) -> str:
        """Steps, totals, and what went wrong."""
        parts: list[str] = []
        if self.lines:
            # A grid and no table: the themes of notebooks stripe tables and push their text to the right.
            columns = "fit-content(22em) minmax(5em,1fr) max-content fit-content(30em)"
            rows = "".join(_row(line) for line in self.lines)
            parts.append(
                f'<div style="display:grid;grid-template-columns:{columns};gap:1px 1em;align-items:center;'
                f'margin:.45em 0">{rows}</div>'
            )
        if self.hidden:
            parts.append(f'<div style="{_QUIET}">… {escape(self._more)}</div>')
        if self.totals:
            parts.append(f'<div style="{_QUIET}">{escape(self.totals)}</div>')
        if self.problem:
            parts.append(
                f'<div style="{_ink(_RED)};white-space:pre-wrap;overflow-wrap:anywhere;margin-top:.35em">'
                f"{escape(self.problem)}</div>"
            )
        if self.advice:
            parts.append(
                f'<div style="margin-top:.35em"><span style="{_QUIET}">go on: </span>'
                f'<code style="font-family:{_MONO};font-size:.92em;background:{_FAINT};padding:1px 5px;'
                f'border-radius:3px;color:inherit;overflow-wrap:anywhere;user-select:all">'
                f"{escape(self.advice)}</code></div>"
            )
        return "".join(parts)

    @property
    def _more(self) -> str:
        return f"{figures.counted(self.hidden, 'more step')}: `surefoot show {self.run_id}` lists all"


FRAME = (
    f"font-family:{_SANS};font-size:13px;line-height:1.5;border:1px solid {_EDGE};border-radius:4px;"
    "padding:7px 12px;margin:4px 0;max-width:76em;box-sizing:border-box;text-align:left"
)
"""The style of what stands around a card."""


def fitting(lines: Sequence[Line], *, most: int = MOST_LINES) -> tuple[int, tuple[Line, ...]]:
    """How many lines are left out, and those that are shown, in order.

    What runs, failed or was cut off comes first, then what is further out, then what is newer.
    """
    if len(lines) <= most:
        return 0, tuple(lines)

    def rank(index: int) -> tuple[bool, int, int]:
        line = lines[index]
        return line.state in ("completed", "kept"), line.depth, -index

    kept = sorted(sorted(range(len(lines)), key=rank)[:most])
    return len(lines) - most, tuple(lines[index] for index in kept)


def _row(line: Line) -> str:
    colour = _COLOUR[line.state]
    took = "" if line.took_ns is None else figures.duration(line.took_ns)
    detail = escape(line.detail)
    tone = _ink(_RED) if line.state == "failed" else _QUIET
    return (
        f'<div style="padding-left:{1.2 * min(line.depth, 12):.1f}em;{_CUT}" title="{escape(line.name)}">'
        f'<span style="display:inline-block;width:1.3em;color:{colour}" title="{line.state}">'
        f"{_MARKS[line.state]}</span>{escape(line.name)}</div>"
        f"{_bar(line, colour)}"
        f'<div style="text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap">{took}</div>'
        f'<div style="{_CUT};{tone}" title="{detail}">{detail}</div>'
    )


def _bar(line: Line, colour: str) -> str:
    inner = ""
    if line.bar is not None:
        begin, end = line.bar
        fade = ";opacity:.45" if line.state == "kept" else ""
        inner = (
            f'<div style="position:absolute;left:{begin:.2f}%;width:{max(end - begin, 0.4):.2f}%;'
            f'top:0;bottom:0;min-width:2px;border-radius:2px;background:{colour}{fade}"></div>'
        )
    track = f"position:relative;height:8px;border-radius:2px;background:{_FAINT};overflow:hidden"
    return f'<div style="{track}">{inner}</div>'


def _drawn(bar: tuple[float, float] | None) -> str:
    """A bar in characters."""
    if bar is None:
        return " " * _BAR_CELLS
    begin = min(int(bar[0] * _BAR_CELLS / 100), _BAR_CELLS - 1)
    end = min(max(round(bar[1] * _BAR_CELLS / 100), begin + 1), _BAR_CELLS)
    return "·" * begin + "█" * (end - begin) + "·" * (_BAR_CELLS - end)
