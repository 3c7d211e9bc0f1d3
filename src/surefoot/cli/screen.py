"""The two streams as rich consoles, and how values are laid out on them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import orjson

from surefoot.values import Json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

_PIPED_WIDTH = 200
"""Columns where nobody looks: enough that no line of ours is broken."""


def out() -> Console:
    """Stdout. Rich is imported here and not before, so that help and errors come at once."""
    return _console(is_error=False)


def err() -> Console:
    """Stderr, for progress and what is said beside the result."""
    return _console(is_error=True)


def _console(*, is_error: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=is_error, highlight=False, markup=False, emoji=False)
    # Rich would end the process with 1: that whoever reads has seen enough is no failure.
    console.on_broken_pipe = _tell_broken_pipe  # type: ignore[method-assign]
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def _tell_broken_pipe() -> None:
    raise BrokenPipeError


def bars(console: Console) -> Progress:
    """Bars that count work, with the time that remains; they are gone when it has ended, and only on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=not console.is_terminal,
    )


def print_json(value: Json) -> None:
    """The one JSON document of `--json`; what the encoding of stdout has no character for is escaped in it."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, default=str)
    sys.stdout.write(text + "\n")


def print_text(text: str) -> None:
    """A text as it is, for programs and files: nothing is wrapped, coloured or added but a last line end."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


_CONTROLS = (
    {code: 0x2400 + code for code in range(32) if code not in (9, 10)}
    | {0x7F: 0x2421}
    | dict.fromkeys(range(128, 160), 65533)
    # What turns the order of writing around, breaks a line, or is seen by models alone.
    | dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029), 65533)
    | dict.fromkeys(range(0xE0000, 0xE0080), 65533)
)


def harmless(text: str) -> str:
    """Text of others with its control characters as visible signs: it steers no terminal, and reads as it is."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def in_a_line(text: str) -> str:
    """Text of others that is harmless and breaks no line, so that it cannot pass for a line of ours."""
    return harmless(text).replace("\n", "\u240a")


def styled(*parts: str | tuple[str, str]) -> Text:
    """Text of parts, of which pairs are (text, style). Whatever they hold steers no terminal."""
    from rich.text import Text

    made = [harmless(part) if isinstance(part, str) else (harmless(part[0]), part[1]) for part in parts]
    return Text.assemble(*made)


def pretty(value: Json) -> str:
    """A value as people read it: text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()


def outline(value: Json, width: int) -> str:
    """A value in as few lines as make sense: one if it fits, else one for each item or field."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list) and len(json.dumps(value, ensure_ascii=False)) > width:
        if isinstance(value, list):
            return "\n".join(f"- {brief(item, width - 2)}" for item in value)
        return "\n".join(f"{name}: {brief(item, width - len(name) - 2)}" for name, item in value.items())
    return json.dumps(value, ensure_ascii=False)


def brief(value: Json, width: int) -> str:
    """A value on one line, cut to so many columns; of an object the longest texts stand first."""
    if isinstance(value, dict):
        texts = sorted((-len(item) if isinstance(item, str) else 0, name) for name, item in value.items())
        value = {name: value[name] for _, name in texts}
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: max(width - 1, 1)] + "…"


def cut(lines: Iterable[str], most: int) -> Iterator[str]:
    """The first lines, and how many more there are."""
    kept = list(lines)
    yield from kept[:most]
    if len(kept) > most:
        more = len(kept) - most
        yield f"… {more:,} more line{'s' if more != 1 else ''} (--full)"


def terms(console: Console, parts: Iterable[str], *, indent: str = "") -> str:
    """Parts joined by dots, broken between parts where the line is full."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and len(indent) + len(joined) > console.width:
            lines[-1] += " ·"
            lines.append(part)
        elif lines:
            lines[-1] = joined
        else:
            lines.append(part)
    return "\n".join(indent + line for line in lines)


MAIN_FIELDS = ("answer", "summary", "text", "output", "result", "response")


def main_text(output: Json) -> tuple[str, Mapping[str, Json]] | None:
    """The text that an output is about and what stands beside it; None if there is no such text."""
    if isinstance(output, str):
        return output, {}
    if not isinstance(output, dict):
        return None
    for name in MAIN_FIELDS:
        if isinstance(text := output.get(name), str):
            return text, {other: value for other, value in output.items() if other != name}
    return None


def print_output(output: Json, *, hint: str) -> None:
    """The output of a run on stdout: its main text with the rest in brief, or pretty JSON."""
    console = out()
    found = main_text(output)
    if found is None:
        console.print(pretty(output), soft_wrap=True)
        return
    text, rest = found
    console.print(text, soft_wrap=not console.is_terminal)
    for name, value in rest.items():
        if isinstance(value, list | dict) and value:
            noun = "item" if isinstance(value, list) else "field"
            shown = f"{len(value)} {noun}{'s' if len(value) != 1 else ''} ({hint})"
        else:
            shown = brief(value, max(console.width - len(name) - 2, 20))
        console.print(styled((f"{name}: {shown}", "dim")))


def size(count: int) -> str:
    """`12 KB`, `3.4 MB`, `5.6 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} KB" if count >= 1e3 else f"{count} bytes"


class Warnings(logging.Handler):
    """The library's warnings as lines on stderr, each once: a file may be read twice in one command."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        if text not in self._said:
            self._said.add(text)
            sys.stderr.write(text + "\n")


def show_warnings() -> None:
    """Show what the library logs from WARNING up, unless logging is set up by the user's own code."""
    logger = logging.getLogger("surefoot")
    if not logger.handlers:
        logger.addHandler(Warnings(logging.WARNING))


def log_json() -> None:
    """Write all that is logged from INFO up to stderr, as JSON."""
    from surefoot.logs import JsonFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
