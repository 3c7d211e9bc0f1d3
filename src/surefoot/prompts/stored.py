"""Versions of prompts as the ledger keeps them, and back."""

from __future__ import annotations

from pathlib import Path

from surefoot.errors import PromptError
from surefoot.prompts.definition import Prompt
from surefoot.prompts.loading import parse
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


def parsed(text: PromptText, root: Path | None) -> Prompt:
    """The prompt again. Raises `PromptError` where the text is not the one that has its digest."""
    source = Path(text.source) if text.source else Path(f"{text.name}.prompty")
    prompt = parse(text.text, source if root is None else root / source)
    if (prompt.digest, prompt.name) != (text.digest, text.name):
        raise PromptError(
            f"the text of prompt {text.name} with digest {text.digest[:12]} in the ledger is not what it was: its "
            f"digest is {prompt.digest[:12]}; restore a backup of the ledger, or bring the file {text.source} back"
        )
    return prompt
