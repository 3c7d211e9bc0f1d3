"""What providers publish of their models beside prices: context windows, and how much a model can answer at most."""

from __future__ import annotations

import re
from dataclasses import dataclass

from surefoot.models.chain.prices import entry_of
from surefoot.models.chain.vendors import LOCAL

_ANTHROPIC_WINDOW = 1_000_000
"""A header of the request opens it for models that otherwise have less."""

# From the providers' pages on their models, in 2026; the prefix of a name has to match as far as it is written here.
# A model that is not here can answer with its whole window as far as we know, which holds too much, never too little.
_OUTPUT = (
    (re.compile(r"gpt-3\.5-turbo|gpt-4-turbo|gpt-4o-2024-05-13"), 4_096),
    (re.compile(r"gpt-4o|chatgpt-4o"), 16_384),
    (re.compile(r"gpt-4\.1"), 32_768),
    (re.compile(r"(o1|o3|o4-mini)(-\d{4}-\d\d-\d\d)?$"), 100_000),
    (re.compile(r"gpt-5(\.[12])?(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$"), 128_000),
    (re.compile(r"gemini-(1\.5|2\.0)-"), 8_192),
    (re.compile(r"gemini-2\.5-(pro|flash)"), 65_536),
)
_WINDOWS = ((re.compile(r"gemini-(1\.5-flash|2\.0-flash|2\.5-(pro|flash))"), 1_048_576),)
_OF_MAKERS = frozenset({"openai", "azure", "google"})


@dataclass(frozen=True, slots=True)
class Window:
    """How many tokens prompt and answer may have together, and the answer alone; None where nobody has said so."""

    context: int | None = None
    output: int | None = None


_windows: dict[tuple[str, str], Window] = {}
_MOST_WINDOWS = 1024
"""How many are remembered: models may have any number of names."""


def window_of(provider: str, model: str, *, local_context: int | None = None) -> Window:
    """The window of a model. `local_context` is that of the embedded one."""
    if provider == LOCAL:
        return Window(local_context, local_context)
    window = _windows.get((provider, model))
    if window is None:
        window = _window_of(provider, model)
        if window.context is not None and len(_windows) < _MOST_WINDOWS:
            _windows[provider, model] = window
    return window


def _window_of(provider: str, model: str) -> Window:
    known = entry_of(provider, model)
    context = None if known is None else known.context_window
    name = model.lower().removeprefix("models/")
    is_theirs = provider in _OF_MAKERS
    if context is None and is_theirs:
        context = next((most for form, most in _WINDOWS if form.match(name)), None)
    if provider == "anthropic" and context is not None:
        context = max(context, _ANTHROPIC_WINDOW)
    output = next((most for form, most in _OUTPUT if form.match(name)), None) if is_theirs else None
    return Window(context, output if output is not None else context)


_SEEN_GPT = re.compile(r"(ft:)?(gpt-3\.5|gpt-4|chatgpt-4o|davinci|babbage)")
_SEEN_GEMINI = re.compile(r"gemini-(1\.|2\.0)")
_HIDING = frozenset({"x-ai", "perplexity", "openrouter", "litellm", "openai-compatible"})


def thinks_unseen(operation: str, provider: str, model: str, answer: bytes) -> bool:
    """Whether a model may have written more than it has shown in an answer, or in the part of it that came.

    Reasoning is paid for as the rest is, and many providers show none of it, or a summary. A model that is not known
    may have done so.
    """
    if operation == "anthropic.messages":
        # It is a block of its own, also where nothing stands in it.
        return b'thinking"' in answer
    name = model.lower().rpartition("/")[2]
    match provider:
        case "openai" | "azure":
            return _SEEN_GPT.match(name) is None
        case "google":
            return _SEEN_GEMINI.match(name) is None
        case _:
            return provider in _HIDING
