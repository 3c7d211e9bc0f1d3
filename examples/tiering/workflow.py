"""A question about a passage: the embedded model first, and a strong one where its answer does not hold.

The strong tier is a script that knows the answers of golden.jsonl, so that the example needs no key and costs nothing.
In a project of your own it is one line: `Tier("openai:gpt-4o")`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from surefoot import Call, Reply, Tier, Tiered, flow, generate, scripted
from surefoot.models import ModelRequest
from surefoot.values import Usage

HERE = Path(__file__).parent
NUMBER = re.compile(r"\d[\d:.]*\d|\d")


def has_a_number(value: str) -> bool | str:
    """Every question of this example asks for one."""
    return bool(NUMBER.search(value)) or "it names no number"


def strong_answer(asked: ModelRequest) -> object:
    """What the strong tier says, with tokens that are priced by surefoot.toml."""
    for line in (HERE / "golden.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["question"] in asked.text and case["passage"] in asked.text:
            expected = case["expected"]
            said = expected if isinstance(expected, str) else expected[0]
            return scripted.says(said, usage=Usage(input=len(asked.text) // 4, output=8))
    return scripted.says("I do not know.", usage=Usage(input=len(asked.text) // 4, output=8))


LADDER = Tiered(
    [
        Tier(Call("local:smollm2", temperature=0, max_tokens=32), accept=has_a_number, confidence=0.7),
        Tier(scripted(strong_answer)),
    ]
)


@flow
def answer(passage: str, question: str) -> dict[str, object]:
    """Answer from the passage."""
    messages = [
        {"role": "system", "content": "Answer the question from the text, in one short sentence."},
        {"role": "user", "content": f"Text: {passage}\nQuestion: {question}"},
    ]
    reply = generate.sync(messages, Reply, using=LADDER)
    return {"answer": reply.text, "tier": reply.tier, "why": [one.reason for one in reply.escalations]}
