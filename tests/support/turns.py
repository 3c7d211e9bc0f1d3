"""Turns of models as Hypothesis makes them, each within what a format has words for; and what hears a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import strategies as st

from surefoot.models.chain.sse import Event
from surefoot.models.generating.asking import Listening, Logprob, Turn, Wire
from surefoot.models.wires import AnthropicMessages, GoogleGenerate, OpenAIChat, OpenAIResponses
from surefoot.values import ToolCall, Usage

WIRES: dict[str, Wire] = {
    wire.operation: wire for wire in (OpenAIChat(), OpenAIResponses(), AnthropicMessages(), GoogleGenerate())
}

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
leaves = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | words
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2)
)
objects = st.dictionaries(words, values, max_size=3).map(
    lambda found: json.dumps(found, separators=(",", ":"), ensure_ascii=False)
)
numbers = st.floats(-50, 0, allow_nan=False)
logprobs = st.builds(Logprob, words, numbers, st.lists(st.tuples(words, numbers), max_size=2).map(tuple))
calls = st.builds(ToolCall, names, names, objects)
usages = st.builds(
    lambda cached, fresh, reasoning, said: Usage(cached + fresh, cached, reasoning + said, reasoning),
    *[st.integers(0, 9999)] * 4,
)


@st.composite
def turns(draw: st.DrawFn, operation: str) -> Turn:
    """A turn that the format of that operation can say, as its reader would give it back."""
    asked = draw(st.lists(calls, max_size=3, unique_by=lambda call: call.id))
    ends = ["length", "filter"] + (["tools"] if asked else ["stop"])
    if operation != "openai.chat" and not (asked and operation == "google.generate_content"):
        ends.append("other")
    finish = draw(st.sampled_from(ends))
    may_refuse = operation.startswith("openai") or finish == "filter"
    return Turn(
        text=draw(words),
        finish=finish,
        tool_calls=tuple(asked),
        refusal=draw(words) if may_refuse else "",
        reasoning=draw(words),
        logprobs=() if operation == "anthropic.messages" else tuple(draw(st.lists(logprobs, max_size=3))),
        model=draw(names),
        id=draw(names),
    )


def heard(wire: Wire, events: Iterable[Event]) -> tuple[Listening, str]:
    """The stream after these events, and the text that came piece by piece."""
    listening = wire.listen()
    pieces = [listening.hear(event.name, event.data) for event in events]
    return listening, "".join(pieces)
