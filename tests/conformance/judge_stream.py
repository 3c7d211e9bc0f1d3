"""The operation `processStream` of the Prompty project: a provider's events to pieces of text, and to how it ended.

The events are streamed by a local server, and `generate` reads them. A failure is determinate where the model said how
it ends (`ContentRefused`), and indeterminate where the connection broke: a run then says so, and a resume asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Any

from answering import streaming
from fixtures import Fixtures
from surefoot import Call, generate
from surefoot.errors import ContentRefused, ModelError

_ASKED = [{"role": "user", "content": "Hello"}]
_MODELS = {"openai": "openai:gpt-4o", "anthropic": "anthropic:claude-sonnet-5"}


def judge(vector: Mapping[str, Any], fixtures: Fixtures) -> str | None:
    """What is wrong with what we make of the events, or None."""
    given, expected = vector["input"], vector["expected"]
    events = [event["value"] for event in given["events"] if event["kind"] == "provider"]
    is_cut = any(event["kind"] == "transportError" for event in given["events"])
    pieces: list[str] = []
    heard = Event()

    def hear(piece: str) -> None:
        pieces.append(piece)
        heard.set()

    failure: ModelError | None = None
    with streaming(events, cut=heard if is_cut else None):
        try:
            generate.sync(_ASKED, using=Call(_MODELS[given["provider"]], stream=hear))
        except ModelError as error:
            failure = error
    is_refusal = isinstance(failure, ContentRefused)
    ours = {
        "chunks": [*pieces, *([] if failure is None else ["determinate" if is_refusal else "indeterminate"])],
        "partialText": "".join(pieces),
        "requiresReconciliation": failure is not None and not is_refusal,
        "completionCommitted": failure is None,
    }
    theirs = {
        **{name: expected[name] for name in ("partialText", "requiresReconciliation", "completionCommitted")},
        "chunks": [_shown(chunk) for chunk in expected["chunks"]],
    }
    if ours != theirs:
        return f"ours: {ours}, theirs: {theirs}"
    return _said(failure, expected) if is_refusal else None


def _shown(chunk: Mapping[str, Any]) -> str:
    return str(chunk["value"] if chunk["kind"] == "text" else chunk["failure"]["outcome"])


def _said(failure: ModelError | None, expected: Mapping[str, Any]) -> str | None:
    """Whether what the model refused with is in our message."""
    for chunk in expected["chunks"]:
        refusal = str(chunk.get("failure", {}).get("message", "")).removeprefix("Model refused: ")
        if refusal not in str(failure):
            return f"{failure} does not say {refusal!r}"
    return None
