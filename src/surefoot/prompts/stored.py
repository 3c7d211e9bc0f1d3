"""Versions of prompts as the ledger keeps them, and back."""

from __future__ import annotations

from pathlib import Path

from surefoot.errors import PromptError
from surefoot.prompts.definition import Prompt
from surefoot.prompts.loading import parse_stored
from surefoot.values import PromptText


def text_of(prompt: Prompt, root: Path | None) -> PromptText:
    """What a ledger keeps of a prompt; `root` is the folder of the project."""
    source = prompt.source
    if source is not None and root is not None and source.is_relative_to(root):
        source = source.relative_to(root)
    return PromptText(
        name=prompt.name,
        version=prompt.version,
        digest=prompt.digest,
        dialect=prompt.dialect,
        source="" if source is None else source.as_posix(),
        text=prompt.text,
        files=prompt.files,
    )


def parsed(text: PromptText) -> Prompt:
    """The prompt again. Raises `PromptError` where the text is not the one that has its digest and name."""
    prompt = parse_stored(text)
    if prompt.name != text.name:
        raise PromptError(
            f"the text that the ledger keeps of prompt {text.name} with digest {text.digest[:12]} is that of "
            f"{prompt.name}: check it with `surefoot ledger verify`, and restore a backup"
        )
    return prompt
