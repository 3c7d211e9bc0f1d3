"""Versions of prompts as the ledger keeps them, and back."""

from __future__ import annotations

from pathlib import Path

from surefoot.errors import PromptError
from surefoot.prompts.definition import Prompt
from surefoot.prompts.loading import parse_stored
from surefoot.values import PromptText


def text_of(prompt: Prompt, root: Path | None) -> PromptText:
    """What a ledger keeps of a prompt; `root` is the folder of the project."""
    return PromptText(
        name=prompt.name,
        version=prompt.version,
        digest=prompt.digest,
        dialect=prompt.dialect,
        source="" if prompt.source is None else relative(prompt.source, root),
        text=prompt.text,
        files=prompt.files,
    )


def relative(path: Path, root: Path | None) -> str:
    """A path as it is shown and kept: relative to the project where it is inside."""
    return (path.relative_to(root) if root is not None and path.is_relative_to(root) else path).as_posix()


def parsed(text: PromptText) -> Prompt:
    """The prompt again. Raises `PromptError` where the text is not the one that has its digest and name."""
    prompt = parse_stored(text)
    if prompt.name != text.name:
        raise PromptError(
            f"the text that the ledger keeps of prompt {text.name} with digest {text.digest[:12]} is that of "
            f"{prompt.name}: check it with `surefoot ledger verify`, and restore a backup"
        )
    return prompt
