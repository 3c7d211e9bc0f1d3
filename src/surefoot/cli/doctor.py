"""`surefoot doctor`: what is missing or broken on this machine, and what to do about it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from surefoot.cli.options import documented, json_option

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.config import Loaded
    from surefoot.ledger import Ledger, RunRecord

Verdict = Literal["ok", "warn", "fail"]

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
LOCAL = ("xllamacpp", "onnxruntime", "tokenizers", "numpy", "gguf")
_LEAST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `advice` is what to do about it."""

    verdict: Verdict
    subject: str
    text: str
    advice: str = ""


@documented(example="surefoot doctor")
@json_option
def command(as_json: bool) -> int:  # noqa: FBT001
    """Look for what is missing or broken on this machine, and say what to do. The exit code is 1 if anything fails."""
    from surefoot.cli import screen

    findings = list(examined())
    is_fine = all(finding.verdict != "fail" for finding in findings)
    if as_json:
        screen.print_json(
            {
                "is_fine": is_fine,
                "findings": [
                    {
                        "verdict": finding.verdict,
                        "subject": finding.subject,
                        "text": finding.text,
                        "advice": finding.advice,
                    }
                    for finding in findings
                ],
            }
        )
        return 0 if is_fine else 1
    console = screen.out()
    for finding in findings:
        verdict = (f"{finding.verdict:<5}", COLOURS[finding.verdict])
        console.print(
            screen.styled(verdict, (f"{finding.subject:<12}", "bold"), finding.text), soft_wrap=True
        )
        for line in finding.advice.splitlines():
            console.print(screen.styled((f"{'':<17}{line}", COLOURS[finding.verdict])), soft_wrap=True)
    counts = {verdict: sum(finding.verdict == verdict for finding in findings) for verdict in COLOURS}
    console.print(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")
    return 0 if is_fine else 1


def examined() -> Iterator[Finding]:
    """All findings; what depends on settings is left out where they cannot be read."""
    from surefoot.errors import ConfigError

    yield Finding("ok", "python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("ok", "surefoot", version("surefoot"))
    yield _engine()
    yield _extra("local", LOCAL)
    yield _extra("openai", ("openai",))
    yield _extra("anthropic", ("anthropic",))
    yield from _guarded("weights", _weights)
    from surefoot.config import load

    try:
        loaded = load()
    except ConfigError as error:
        yield Finding("fail", "settings", str(error), "mend them; `surefoot config check` looks again")
        return
    from surefoot.app import App

    app = App(loaded)
    yield from _settings(loaded)
    yield from _guarded("connections", lambda: _connections(loaded))
    yield _state(loaded)
    yield from _guarded("prompts", lambda: _prompts(app))
    yield from _guarded("ledger", lambda: _ledger(app))


def _guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A check's findings; an error of ours is one more."""
    from surefoot.errors import SurefootError

    try:
        yield from check()
    except SurefootError as error:
        what, _, advice = str(error).partition(": ")
        yield Finding("fail", subject, what, advice)


def _engine() -> Finding:
    from surefoot.ledger import engine

    number, has_full_text = engine()
    if has_full_text:
        return Finding("ok", "sqlite", f"{number} with full-text search (FTS5)")
    return Finding(
        "fail",
        "sqlite",
        f"{number} without FTS5, which collections need",
        "use a Python whose SQLite has FTS5",
    )


def _extra(name: str, packages: tuple[str, ...]) -> Finding:
    found: list[str] = []
    missing: list[str] = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        what = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        return Finding("warn", name, what, f'if you need it: pip install "surefoot[{name}]"')
    return Finding("ok", name, ", ".join(found))


def _weights() -> Iterator[Finding]:
    from surefoot.models import local

    missing = local.missing()
    if missing:
        names = ", ".join(weights.name for weights in missing)
        command = shlex.join(local.install_command())
        yield Finding("warn", "weights", f"not installed: {names}", f"for the embedded models: {command}")
        return
    for weights in local.WEIGHTS:
        local.locate(weights)
    yield Finding(
        "ok", "weights", ", ".join(f"{weights.name}, {weights.licence}" for weights in local.WEIGHTS)
    )


def _settings(loaded: Loaded) -> Iterator[Finding]:
    from surefoot.cli.config import unset_secrets

    where = "no surefoot.toml, so defaults hold" if loaded.file is None else str(loaded.file)
    yield Finding("ok", "settings", where + (f", profile {loaded.profile}" if loaded.profile else ""))
    for line in unset_secrets(loaded):
        yield Finding("warn", "settings", line, "set it, or remove the connection")


def _connections(loaded: Loaded) -> Iterator[Finding]:
    from surefoot.cli.config import reachable

    found = reachable(loaded)
    if not found:
        yield Finding("ok", "connections", "none; the embedded model needs none")
    for opened in found:
        yield Finding("warn" if opened.lacks else "ok", "connections", str(opened), opened.lacks)


def _state(loaded: Loaded) -> Finding:
    from surefoot.cli.screen import size

    folder = loaded.state_dir
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(
            "fail", "state", f"{folder} cannot be written", "set SUREFOOT_HOME to a folder that can be"
        )
    free = shutil.disk_usage(nearest).free
    text = f"{folder}, {size(free)} free on its disk"
    if free < _LEAST_BYTES:
        return Finding("warn", "state", text, "free some space: a full disk stops every run")
    return Finding("ok", "state", text)


def _prompts(app: App) -> Iterator[Finding]:
    library = app.prompts
    if not library.folder.is_dir():
        yield Finding("ok", "prompts", f"no folder {library.folder}, so no prompts by name")
        return
    for problem in library.problems():
        yield Finding("fail", "prompts", str(problem))
    yield Finding("ok", "prompts", f"{len(library.prompts())} in {library.folder}")


def _ledger(app: App) -> Iterator[Finding]:
    from surefoot.cli.screen import size
    from surefoot.ledger import SqliteLedger

    ledger = app.ledger
    if not isinstance(ledger, SqliteLedger):
        yield from _server(ledger)
        yield from _abandoned_runs(app)
        return
    if not ledger.path.exists():
        yield Finding("ok", "ledger", f"{ledger.path} will be made by the first run")
        return
    number, damage = ledger.format(), ledger.check()
    if damage != "ok":
        yield Finding(
            "fail", "ledger", f"{ledger.path} is damaged: {damage}", "restore a backup, or move it away"
        )
        return
    stored = sum(path.stat().st_size for path in _files_of(ledger.path))
    yield Finding("ok", "ledger", f"{ledger.path}, format {number}, {size(stored)}, sound")
    if not os.access(ledger.path, os.W_OK):
        advice = "make file and folder writable, or set SUREFOOT_LEDGER_PATH"
        yield Finding("fail", "ledger", f"{ledger.path} is read-only", advice)
    yield from _abandoned_runs(app)


def _server(ledger: Ledger) -> Iterator[Finding]:
    """A ledger in a database: whether it is reached, what it runs on, and how it is."""
    engine, number, health = ledger.engine(), ledger.format(), ledger.check()
    if health != "ok":
        yield Finding(
            "fail", "ledger", f"{ledger.where} ({engine}): {health}", "see to it, or restore a backup"
        )
    elif number == 0:
        yield Finding("ok", "ledger", f"{ledger.where}, {engine}, tables will be made by the first run")
    else:
        yield Finding("ok", "ledger", f"{ledger.where}, {engine}, format {number}, sound")


def _abandoned_runs(app: App) -> Iterator[Finding]:
    abandoned = _abandoned(app)
    if abandoned:
        commands = "\n".join(f"surefoot resume {run.id}    # {run.flow}" for run in abandoned[:5])
        yield Finding("warn", "runs", f"{len(abandoned)} abandoned", commands)


def _abandoned(app: App) -> list[RunRecord]:
    from surefoot.cli.runs import listed

    return [run for run, _ in listed(app.ledger, time.time_ns(), status="abandoned", limit=100)]


def _files_of(path: Path) -> list[Path]:
    return [
        place for ending in ("", "-wal", "-shm") if (place := path.with_name(path.name + ending)).exists()
    ]
