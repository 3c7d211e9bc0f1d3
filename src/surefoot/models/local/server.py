"""The child process that runs the embedded model: llama.cpp's HTTP server, alive while its parent is.

It prints one line of JSON with its loopback address when it is ready. Nothing is ever written to its standard
input, whose end is the signal to exit. It imports nothing of the package, so that it starts at once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence

TOKEN_VARIABLE = "SUREFOOT_LOCAL_TOKEN"  # noqa: S105 - the name of a variable
_PARENT_CHECK_SECONDS = 1.0
# Errors and warnings; above this llama.cpp reports each request.
_VERBOSITY = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the parent is gone; returns 2 if the model cannot be loaded or no token is set."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process.
    options = _options(arguments)
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if not token:
        sys.stderr.write(
            f"{TOKEN_VARIABLE} is not set: requests are answered only if they carry that token\n"
        )
        return 2
    parent = os.getppid()
    answer = _claim_stdout()
    threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()
    try:
        address = _serve(options, token)
    except (ImportError, RuntimeError) as error:
        sys.stderr.write(f"the model {options.model} cannot be served: {error}\n")
        return 2
    with os.fdopen(answer, "w") as ready:
        ready.write(json.dumps({"address": address}) + "\n")
    threading.Event().wait()
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m surefoot.models.local.server", description=__doc__)
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--name", default="local", help="the model's name in responses")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--context", type=int, default=4096, help="tokens of prompt and answer together")
    return parser.parse_args(arguments)


def _claim_stdout() -> int:
    """Keep standard output for the one line; whatever native code prints goes to standard error."""
    sys.stdout.flush()
    answer = os.dup(1)
    os.dup2(2, 1)
    return answer


def _exit_with(parent: int) -> None:
    # The end of standard input comes at once, but not while a fork of the parent holds the pipe open; the
    # parent's number covers that. Linux' PR_SET_PDEATHSIG fires when the *thread* that started this process ends.
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _PARENT_CHECK_SECONDS)
        if readable and not os.read(0, 1024):
            break
    os._exit(0)


_running: list[object] = []


def _serve(options: argparse.Namespace, token: str) -> str:
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {options.name}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.api_keys = [token]
    params.n_ctx = options.context
    params.n_parallel = 1
    params.n_gpu_layers = 0
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = options.threads
        threads.poll = 0  # Sleep, not spin, while there is nothing to compute.
    # With a prompt cache the same request gets another answer after other requests, because batches of other
    # shapes round differently. A request may still ask for it (`cache_prompt`).
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.fit_params = False
    params.warmup = False
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = _VERBOSITY
    server = xllamacpp.Server(params)
    _running.append(server)
    return str(server.listening_address)


if __name__ == "__main__":
    sys.stdout.flush()
    code = main()
    sys.stderr.flush()
    os._exit(code)
