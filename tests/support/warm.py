"""A process that has made imports and forks a child for each command or script that it is asked for.

What those do takes some ten milliseconds, the imports before it twenty times that. A child is a process of its own,
with its own folder, environment, streams and end, and has seen nothing of the test that asks for it.

As a program it serves the socket whose number it is given, once it has imported the modules that are named behind it:
a request is one line of JSON, beside three streams where it is for a child. The answer is the pid of that and then its
exit code; of one that goes on beside others the code is asked for by its pid.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import surefoot.cli.root
from begun import Begun

# None of them starts a thread or opens anything, as each process shows that imports them at its start.
IMPORTS = (
    *(
        "anthropic",
        "asyncpg",
        "openai.resources.chat",
        "rich.console",
        "rich.live",
        "rich.progress",
        "rich.table",
    ),
    *("rich.tree", "engines", "rooms"),
)
"""Of commands and of scripts: they share one process, as its imports take longer than some ten children do."""
SECONDS = 100


class Warm:
    """The process, from its first child to the end of the tests."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *modules],
                cwd=Path(__file__).parent,
                pass_fds=[theirs.fileno()],
            )
        self.socket.settimeout(SECONDS)
        self._answers = self.socket.makefile("r", encoding="utf-8")

    def close(self) -> None:
        self._answers.close()
        self.socket.close()
        self._process.wait()

    def run(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environ: dict[str, str],
        code: str | None = None,
        file: Path | None = None,
        input: str = "",
        is_merged: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """`surefoot ARGUMENTS`, or with code `python -c` or, if it is that of a file, `python FILE`.

        is_merged: what goes to stderr is in stdout too, in its place.
        """
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as given,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape") as err,
        ):
            given.write(input)
            given.seek(0)
            request = json.dumps(
                {
                    "arguments": list(arguments),
                    "code": code,
                    "file": str(file) if file else None,
                    "cwd": str(cwd),
                    "environ": environ,
                }
            )
            child = self._ask(
                request, [stream.fileno() for stream in (given, out, out if is_merged else err)]
            )
            try:
                ended = int(self._answers.readline())
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                raise
            for stream in (out, err):
                stream.seek(0)
            return subprocess.CompletedProcess(list(arguments), ended, out.read(), err.read())

    def begin(
        self, code: str, arguments: Sequence[str] = (), *, cwd: Path, environ: dict[str, str] | None = None
    ) -> Begun:
        """`python -W ignore -c CODE`, which goes on beside the test and others like it."""
        request = json.dumps(
            {
                "arguments": list(arguments),
                "code": code,
                "file": None,
                "cwd": str(cwd),
                "environ": dict(os.environ) | (environ or {}),
                "goes_on": True,
            }
        )
        pipes = [os.pipe(), os.pipe(), os.pipe()]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        pid = self._ask(request, theirs)
        for end in theirs:
            os.close(end)
        return Begun(pid, (pipes[0][1], pipes[1][0], pipes[2][0]), code_of=self._code_of)

    def _ask(self, request: str, streams: Sequence[int] = ()) -> int:
        socket.send_fds(self.socket, [b"\n"], streams)
        self.socket.sendall(f"{request}\n".encode())
        return int(self._answers.readline())

    def _code_of(self, pid: int) -> int:
        return self._ask(json.dumps({"ended": pid}))


@cache
def warm(modules: Sequence[str]) -> Warm:
    """The one with these imports; it ends when this process does, however that comes about."""
    process = Warm(modules)
    atexit.register(process.close)
    return process


def asked(connection: socket.socket) -> dict[str, Any]:
    """Serve until the asking side goes; comes back in each child only, with what it is asked for."""
    requests = connection.makefile("r", encoding="utf-8")
    while True:
        opening, streams, _, _ = socket.recv_fds(connection, 1, 3)
        if not opening:
            os._exit(0)
        request = json.loads(requests.readline())
        if "ended" in request:
            code = os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])
            connection.sendall(f"{code}\n".encode())
            continue
        child = os.fork()
        if child == 0:
            requests.close()
            connection.close()
            os.chdir(request["cwd"])
            os.environ.clear()
            os.environ.update(request["environ"])
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return dict(request)
        for stream in streams:
            os.close(stream)
        connection.sendall(f"{child}\n".encode())
        if request.get("goes_on"):
            continue
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(f"{code}\n".encode())


def perform(request: dict[str, Any]) -> None:
    """What the child was forked for; it ends as the interpreter does after a command or a script."""
    code, file = request["code"], request["file"]
    if request.get("goes_on"):
        warnings.simplefilter("ignore")
        # Pipes now, where those of the process that was forked may be files, in which one can seek.
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    if code is None:
        sys.path[0] = request["cwd"]
        sys.argv[:] = ["surefoot", *request["arguments"]]
        surefoot.cli.root.main(request["arguments"])
    sys.path[0] = str(Path(file).parent) if file else ""
    sys.argv[:] = [file or "-c", *request["arguments"]]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if file:
        main.__file__ = file
    exec(compile(code, file or "<string>", "exec", dont_inherit=True), main.__dict__)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        importlib.import_module(name)
    # What is there by now stays shared between the children: none of them looks through it or takes it down.
    gc.collect()
    gc.freeze()
    perform(asked(socket.socket(fileno=int(sys.argv[1]))))
