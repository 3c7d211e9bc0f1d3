"""Those who send the traces of a folder's runs to a receiver, and are killed over and over (`make traces-proof`)."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import exported
import troubled
from arrived_spans import Record, recorded
from begun import Begun
from surefoot import App
from surefoot.config import load
from surefoot.ledger import Change, TellDeliveries
from warm import IMPORTS, warm

Child: TypeAlias = "subprocess.Popen[str] | Begun"

_SHARE = 0.7
"""How often one that was killed is followed by another at once: now and then there is one alone, or none."""
_ALONE = 0.6
"""How many of them are commands that do nothing else."""
_COMMAND = "import sys; from surefoot.cli.root import main; main(sys.argv[1:])"
_SCRIPT = (
    "import runpy, sys; from pathlib import Path; del sys.argv[0]; "
    "sys.path.insert(0, str(Path(sys.argv[0]).parent)); runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass
class Project:
    """A folder with a receiver in its settings, and the processes that are begun in it.

    is_bare: each is one of its own from the start, and not forked from one that has made its imports.
    """

    folder: Path
    environ: Mapping[str, str]
    is_bare: bool
    kills: int = 0
    peak: int = 0
    """The most memory of one that sends, in bytes; what is forked has that of its imports beside it."""

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        (self.folder / "surefoot.toml").write_text(f'[traces.desk]\nurl = "http://127.0.0.1:{self.port}"\n')
        self.record = self.folder / "record.jsonl"

    def app(self) -> App:
        return App(load(self.folder, environ=dict(self.environ)))

    def command(self, *arguments: str) -> Child:
        """`surefoot ARGUMENTS`, which goes on beside others."""
        if not self.is_bare:
            return warm(IMPORTS).begin(_COMMAND, arguments, cwd=self.folder, environ=dict(self.environ))
        return self._bare("-m", "surefoot.cli", *arguments)

    def script(self, file: str, *arguments: object) -> Child:
        """`python FILE ARGUMENTS`, which goes on beside others."""
        given = [file, *map(str, arguments)]
        if not self.is_bare:
            return warm(IMPORTS).begin(_SCRIPT, given, cwd=self.folder, environ=dict(self.environ))
        return self._bare(*given)

    def makes(self, work: str, *given: object) -> Child:
        """A process of `exported` that does this."""
        return self.script(exported.__file__, work, self.folder, *given)

    def _bare(self, *arguments: str) -> Child:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    @contextmanager
    def receiver(self, words: list[str], seed: int) -> Iterator[None]:
        """Somebody listens, and answers by these words."""
        process = self.script(troubled.__file__, self.port, self.record, json.dumps(words), seed)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            yield
        finally:
            end(process)

    def taken(self) -> Record:
        """What it has written down by now."""
        return recorded(self.record) if self.record.exists() else Record()

    def look_at(self, process: Child) -> None:
        """Note the memory of one that sends; where the system does not tell it, as 1."""
        status = Path(f"/proc/{process.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        self.peak = max(self.peak, int(found.group(1)) * 1024 if found else 1)


def end(process: Child) -> None:
    """`kill -9`, where it has not ended by itself."""
    process.kill()
    process.communicate(timeout=60)


def done(process: Child) -> str:
    """What it writes until it ends, which it does without a failure."""
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    return out


def as_if_later(app: App) -> None:
    """As if the time of whoever was killed, and each pause, were over."""
    due = (
        "UPDATE deliveries SET next_ns = 1 WHERE webhook = 'traces/desk' AND done_ns IS NULL AND run_id <> ''"
    )
    app.ledger.submit(TellDeliveries([Change(due, ())])).result()


class Senders:
    """Two processes that send, each killed at some moment and begun anew: by a command, or beside runs of its own."""

    def __init__(self, project: Project, chance: random.Random, *, life: float) -> None:
        """life: seconds that one has at most."""
        self._project, self._chance, self._life = project, chance, life
        self._places: list[tuple[Child, bool, float] | None] = [None, None]

    def turn(self) -> int:
        """Kill those whose time has come, and begin others; how many were killed."""
        over = [
            n for n, place in enumerate(self._places) if place is not None and time.monotonic() > place[2]
        ]
        for n in over:
            self._kill(n)
        for n, place in enumerate(self._places):
            if place is None and self._chance.random() < _SHARE:
                is_alone = self._chance.random() < _ALONE
                process = (
                    self._project.command("traces", "deliver", "--watch")
                    if is_alone
                    else self._project.makes("go_on")
                )
                lives = self._chance.uniform(0.3, self._life)
                self._places[n] = process, is_alone, time.monotonic() + lives
        return len(over)

    def close(self) -> None:
        """Kill those that are left."""
        for n in range(len(self._places)):
            self._kill(n)

    def _kill(self, n: int) -> None:
        place = self._places[n]
        if place is not None:
            process, is_alone, _ = place
            # None of them ends by itself, whatever happens around it.
            assert process.poll() is None, process.communicate(timeout=60)[1]
            if is_alone:
                self._project.look_at(process)
            end(process)
            self._project.kills += 1
            self._places[n] = None
