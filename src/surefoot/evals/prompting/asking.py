"""One question to a model by a prompt, as a flow: what `surefoot prompt run` runs, and can be resumed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

from surefoot.errors import PromptError
from surefoot.flows import flow
from surefoot.models import Call, Reply, Script, generate
from surefoot.prompts import Prompt, Prompty
from surefoot.prompts.noting import TRIAL_FLOW
from surefoot.values import Image, Json, Message

FLOW = TRIAL_FLOW
"""The name of the flow. Its runs try a prompt out and are no code that a version has to fit."""

_hear: ContextVar[Callable[[str], object] | None] = ContextVar("surefoot_prompt_pieces", default=None)


@contextmanager
def hearing(hear: Callable[[str], object]) -> Generator[None]:
    """Give the pieces of answers to `hear` as they come, for the code inside."""
    token = _hear.set(hear)
    try:
        yield
    finally:
        _hear.reset(token)


@flow(name=FLOW)
def ask_prompt(  # noqa: PLR0917
    prompt: str,
    inputs: Mapping[str, object],
    model: str = "",
    file: str = "",
    digest: str = "",
    stream: bool = False,  # noqa: FBT001, FBT002  (what a flow takes has names on the command line)
) -> dict[str, Json]:
    """What a model answers to a prompt.

    prompt: its reference in the library.
    inputs: what it takes.
    model: the model that is asked in the place of the prompt's own.
    file: the path of its file, where it is no prompt of the library.
    digest: that of the text that is meant. A resume asks with that text or not at all.
    stream: ask for the answer in pieces. It is no matter of who listens, so that a resume asks for the same.

    Raises `PromptError` where the text is another than that of the digest.
    """
    found = Prompty.load(Path(file)) if file else Prompty.load_template(prompt)
    if digest and found.digest != digest:
        raise PromptError(
            f"{found.prompt.source or prompt}: the prompt has changed since the run began; run it anew with "
            f"`surefoot prompt run {file or prompt}`"
        )
    if api_of(found.prompt) in ("embedding", "image"):
        made = cast("object", generate.sync(found, using=Call(model), **inputs))
        return {"image": _address(made)} if isinstance(made, Image) else {"vectors": cast("Json", made)}
    reply = asked(found, inputs, Call(model, stream=_say if stream else None))
    said: dict[str, Json] = {
        "answer": reply.text,
        "model": f"{reply.provider}:{reply.model}",
        "finish": reply.finish,
    }
    if isinstance(reply.value, Message) and reply.value.tool_calls:
        said["tool_calls"] = [
            {"name": call.name, "arguments": call.arguments} for call in reply.value.tool_calls
        ]
    return said


def api_of(prompt: Prompt) -> str:
    """What kind of answer the prompt asks for, as its file has it: `chat`, `responses`, `embedding`, `image`, ..."""
    return str(prompt.model.get("apiType") or prompt.model.get("api") or "chat")


def asked(prompt: Prompty, inputs: Mapping[str, object], using: Call | Script) -> Reply[Any]:
    """The answer as text, in the form of the outputs that the prompt declares, or with the tools that it calls.

    Nothing calls its tools: their steps are in code that this knows nothing of. Raises what `generate` raises.
    """
    kind = Reply[Message] if _declares_tools(prompt.prompt) else Reply[str]
    return cast("Reply[Any]", generate.sync(prompt, kind, using=using, **inputs))


def _declares_tools(prompt: Prompt) -> bool:
    parameters = prompt.model.get("parameters")
    return bool(prompt.tools) or (isinstance(parameters, dict) and bool(parameters.get("tools")))


def _address(image: Image) -> str:
    if not image.data:
        return image.url
    return f"data:{image.media_type or 'image/png'};base64,{base64.b64encode(image.data).decode()}"


def _say(piece: str) -> None:
    if (hear := _hear.get()) is not None:
        hear(piece)
