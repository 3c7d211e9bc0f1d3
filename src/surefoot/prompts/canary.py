"""The canary of a prompt: where its template says `{{ canary }}`, and in system messages where settings ask for it."""

from __future__ import annotations

from surefoot import scope
from surefoot.prompts.definition import Prompt
from surefoot.texts.fences import fences

NAME = "canary"
"""A name that a template may use without declaring it."""


def canary_of(prompt: Prompt) -> str:
    """32 letters and digits, the same for all renderings of a prompt for one tenant (of the open run)."""
    here = scope.current()
    return fences().canary("" if here is None else here.caller.tenant, prompt.digest)


def line_of(canary: str) -> str:
    """What a system message says of its canary."""
    return f"[{canary}] is private: never write it, in any form."
