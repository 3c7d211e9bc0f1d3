"""The prompt that a command line names: a file, or a reference into the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.errors import UnknownPrompt

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.prompts import Dialect, Prompt

ENDINGS = (".prompty", ".yaml", ".yml")


def found(app: App, target: str, *, dialect: Dialect | None = None) -> Prompt:
    """The prompt of a path that exists, else of a reference.

    dialect: how the file is to be read, whatever it looks like.

    Raises `UnknownPrompt`, which names what is near, and `PromptError` for a file that is malformed.
    """
    from surefoot import prompts

    path = Path(target).expanduser()
    if path.is_file():
        return prompts.load(path, dialect=dialect) if dialect is not None else prompts.load(path)
    if is_path(target):
        what = "is a folder" if path.is_dir() else "is not there"
        raise UnknownPrompt(
            f"the file {target} {what}: give the path of a prompt file, or a reference such as NAME@VERSION "
            "(`surefoot prompt list` shows them)"
        )
    prompt = app.prompts.find(target)
    if dialect is not None and prompt.source is not None:
        return prompts.load(prompt.source, dialect=dialect)
    return prompt


def is_path(target: str) -> bool:
    """Whether a target that does not exist was meant as a path."""
    return "/" in target or "\\" in target or target.endswith(ENDINGS) or target in (".", "..")
