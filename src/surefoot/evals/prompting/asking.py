"""One question to a model by a prompt, as a flow: what `surefoot prompt run` runs, and can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from surefoot.errors import PromptError
from surefoot.flows import flow
from surefoot.models import Call, Reply, Script, generate
from surefoot.models.generating.sections import section_of
from surefoot.models.wires.media import data_url
from surefoot.prompts import Prompty
from surefoot.prompts.noting import TRIAL_FLOW
from surefoot.values import Image, Json, Message

_hear: ContextVar[Callable[[str], object] | None] = ContextVar("surefoot_prompt_pieces", default=None)


@contextmanager
def hearing(hear: Callable[[str], object]) -> Generator[None]:
    """Give the pieces of answers to `hear` as they come, for the code inside."""
    token = _hear.set(hear)
    try:
        yield
    finally:
        _hear.reset(token)


@flow(name=TRIAL_FLOW)
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
    found = Prompty.load(file) if file else Prompty.load_template(prompt)
    if digest and found.digest != digest:
        raise PromptError(
            f"{found.prompt.source or prompt}: the prompt has changed since the run began; run it anew with "
            f"`surefoot prompt run {file or prompt}`"
        )
    if section_of(found).api in ("embedding", "image"):
        made = cast("object", generate.sync(found, using=Call(model), **inputs))
        return {"image": data_url(made)} if isinstance(made, Image) else {"vectors": cast("Json", made)}
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


def asked(prompt: Prompty, inputs: Mapping[str, object], using: Call | Script) -> Reply[Any]:
    """The answer as text, in the form of the outputs that the prompt declares, or with the tools that it calls.

    Nothing calls its tools: their steps are in code that this knows nothing of. Raises what `generate` raises.
    """
    kind = Reply[Message] if section_of(prompt).tools else Reply[str]
    return cast("Reply[Any]", generate.sync(prompt, kind, using=using, **inputs))


def _say(piece: str) -> None:
    if (hear := _hear.get()) is not None:
        hear(piece)
