"""A question that the project puts to a model for itself, and not for the code that runs: of a guard that judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from surefoot import scope
from surefoot.effects import Program
from surefoot.models.chain.endpoints import policy
from surefoot.models.generating.answering import Question
from surefoot.models.generating.generate import Request
from surefoot.models.generating.prompting import rendered
from surefoot.models.generating.schemas import UNSAID
from surefoot.models.generating.shaping import shaped
from surefoot.models.generating.using import Using


def asked_apart(prompt: object, inputs: Mapping[str, object], *, using: Using) -> Program[Any]:
    """What `generate` gives for a prompt. In a run the call is recorded, and the prompt not noted as one of its code.

    Raises what `generate` raises.
    """
    with scope.hidden():
        text = rendered(prompt, inputs)
    shape, form = shaped(UNSAID, text)
    # The project asks, and not the flow: that it does not name this model is no reason to leave the question out.
    chosen = replace(policy(), addresses=None)
    question = Question(text, inputs, shape, chosen, is_async=True, form=form)
    return (yield from Request(question, using, is_reply=False, tools={}).program())
