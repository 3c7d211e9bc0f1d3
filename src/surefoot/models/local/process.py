"""The embedded model as the rest of the program sees it: an address that works whenever it is asked for."""

from __future__ import annotations

import atexit
import http.client
import os
import secrets
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import cast

from surefoot.errors import ContextOverflow, InvalidInput, ModelError, ModelUnavailable
from surefoot.models.local.child import Child, Settings, launch, request
from surefoot.models.local.requantise import Progress, model_path
from surefoot.models.local.weights import require

MODEL_NAME = "smollm2"
CONTEXT = 4096
"""Tokens of prompt and answer together, by default. The model was trained for 8192; each takes 23 KB of memory."""
ANSWER_RESERVE = 64
"""Tokens kept for an answer that the request does not bound: about two sentences, less is of no use."""

_COUNTERS = {
    "/chat/completions": "/v1/chat/completions/input_tokens",
    "/responses": "/v1/responses/input_tokens",
    "/messages": "/v1/messages/count_tokens",
}
_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class EmbeddedServer:
    """A language model in a child process that speaks the OpenAI wire format on a loopback port.

    Nothing runs until it is used. It is safe to share between threads; a server that was killed is started
    again at the next use, on the same port if that is still free; a forked process starts one of its own. It
    ends with this process, however that ends. One request is computed at a time, the others wait in line.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        name: str = MODEL_NAME,
        context: int = CONTEXT,
        threads: int = 1,
        progress: Progress | None = None,
    ) -> None:
        """`model` is a GGUF file, by default the installed SmolLM2; `progress` follows its preparation.

        `context` is in tokens. More than one thread spends far more CPU than it saves time on a busy machine.
        """
        self.name = name
        self.context = context
        self.api_key = secrets.token_urlsafe(32)
        self._model = model
        self._threads = threads
        self._progress = progress
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._port = 0
        _servers.add(self)

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT/v1`, of a server that is ready: it is started, or started again, if need be.

        Requests need `api_key` as bearer token. Raises `MissingExtra` if the weights or xllamacpp are not
        installed, `ModelUnavailable` if the server does not start.
        """
        return f"http://127.0.0.1:{self._ready().port}/v1"

    @property
    def pid(self) -> int | None:
        """The number of the server's process, or None if none runs."""
        child = self._child
        return child.process.pid if child is not None and child.is_alive else None

    def stop(self) -> None:
        """End the server's process; the next use starts it again."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.stop()

    def count_tokens(
        self, messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]] | None = None
    ) -> int:
        """The prompt tokens of a chat, the model's template around it included, as a call would count them.

        Raises `InvalidInput` if the server refuses the messages, `ModelUnavailable` if it cannot be reached.
        """
        body: dict[str, object] = {"messages": list(messages)}
        if tools:
            body["tools"] = list(tools)
        return self._count(_COUNTERS["/chat/completions"], body)

    def check_fits(self, body: Mapping[str, object], *, path: str = "/v1/chat/completions") -> None:
        """Raise `ContextOverflow` if the request's prompt and the room for its answer exceed the context.

        `path` names the wire format (chat completions, responses or messages; others are not checked). The
        room is the request's own bound, else `ANSWER_RESERVE`. The request is not changed. What the server would
        refuse for another reason passes, so that the caller gets the server's own answer.
        """
        counter = next((counter for tail, counter in _COUNTERS.items() if path.endswith(tail)), None)
        if counter is None:
            return
        try:
            prompt = self._count(counter, body)
        except InvalidInput:
            return
        if problem := overflow(prompt, answer_room(body), self.context):
            raise ContextOverflow(f"local:{self.name}: {problem}")

    def _count(self, path: str, body: Mapping[str, object]) -> int:
        try:
            status, answer = self._ask(path, body)
        except ModelUnavailable:
            # Counting changes nothing, so a new server may be asked again if this one was killed.
            if self.pid is not None:
                raise
            status, answer = self._ask(path, body)
        if status == HTTPStatus.OK and isinstance(answer, dict):
            tokens = cast("dict[str, object]", answer).get("input_tokens")
            if isinstance(tokens, int):
                return tokens
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise InvalidInput(f"local:{self.name} does not accept these messages: {answer}")
        raise ModelError(f"local:{self.name} did not count the prompt's tokens: status {status}, {answer}")

    def _ask(self, path: str, body: Mapping[str, object]) -> tuple[int, object]:
        port = self._ready().port
        try:
            return request(port, path, self.api_key, dict(body))
        except (OSError, http.client.HTTPException) as error:
            raise ModelUnavailable(
                f"local:{self.name}: its server at 127.0.0.1:{port} did not answer ({error!r}); "
                "if its process was killed, the next call starts it again"
            ) from error

    def _ready(self) -> Child:
        with self._lock:
            if self._child is not None:
                if self._child.is_alive:
                    return self._child
                self._child.stop()
                self._child = None
            require("xllamacpp")
            model = self._model or model_path(progress=self._progress)
            settings = Settings(model, self.name, self.context, self._threads, self.api_key, self._port)
            self._child = _launch_near(settings)
            self._port = self._child.port
            return self._child

    def forget(self) -> None:
        """After a fork, in the new process: the server is the parent's, and a lock may stay locked for ever."""
        self._lock = threading.Lock()
        child, self._child = self._child, None
        self._port = 0
        if child is not None:
            child.disown()


def shared_server(*, context: int = CONTEXT, threads: int = 1) -> EmbeddedServer:
    """The process's one server of the embedded model with these settings, made at first use."""
    with _shared_lock:
        server = _shared.get((context, threads))
        if server is None:
            server = _shared[context, threads] = EmbeddedServer(context=context, threads=threads)
        return server


def _launch_near(settings: Settings) -> Child:
    """On the old port, so that clients that know the address go on working, or on any if it is taken."""
    if settings.port:
        try:
            return launch(settings)
        except ModelUnavailable:
            pass
    return launch(replace(settings, port=0))


def answer_room(body: Mapping[str, object]) -> int:
    """How many tokens of the context a request wants for its answer."""
    bounds = [value for key in _BOUNDS if isinstance(value := body.get(key), int) and value > 0]
    return min(bounds, default=ANSWER_RESERVE)


def overflow(prompt: int, room: int, context: int) -> str | None:
    """What is wrong with a prompt of that many tokens and what to do about it, or None if it fits."""
    excess = prompt + room - context
    if excess <= 0:
        return None
    left = context - prompt
    advice = f"shorten the prompt by {excess} tokens or more"
    if left >= 1:
        advice += f", ask for {left} tokens (max_tokens) or fewer"
    return (
        f"the prompt has {prompt} tokens and its answer may take {room}, but the context holds {context}; "
        f"{advice}, or use a model with a larger context. No call was made"
    )


def _after_fork() -> None:
    global _shared_lock  # Another thread may have held it when the process was forked
    _shared_lock = threading.Lock()
    for server in list(_servers):
        server.forget()


def _stop_all() -> None:
    for server in list(_servers):
        server.stop()


_servers: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()
_shared: dict[tuple[int, int], EmbeddedServer] = {}
_shared_lock = threading.Lock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_stop_all)
