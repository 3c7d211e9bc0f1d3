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
        return prompts.load(path, dialect=dialect, roots=roots(app))
    if is_path(target):
        what = "is a folder" if path.is_dir() else "is not there"
        raise UnknownPrompt(
            f"the file {target} {what}: give the path of a prompt file, or a reference such as NAME@VERSION "
            "(`surefoot prompt list` shows them)"
        )
    prompt = app.prompts.find(target)
    if dialect is not None and prompt.source is not None:
        return prompts.load(prompt.source, dialect=dialect, roots=roots(app))
    return prompt


def roots(app: App) -> list[Path]:
    """The folders, beside its own, that a prompt file may take in files from."""
    return list(app.config.prompts.files.values())


def is_path(target: str) -> bool:
    """Whether a target that does not exist was meant as a path."""
    return "/" in target or "\\" in target or target.endswith(ENDINGS) or target in (".", "..")


def flow_inputs(target: str, prompt: Prompt) -> dict[str, object]:
    """How the flow of `surefoot prompt run` is told which prompt is meant, wherever it is resumed."""
    path = Path(target).expanduser()
    file = str(path.resolve()) if path.is_file() else ""
    reference = prompt.name if file else target
    return {"prompt": reference, "file": file, "digest": prompt.digest}


def kept_and_file(app: App, target: str) -> tuple[Prompt, Prompt]:
    """What is in force of a prompt, and what its file has now.

    In force is what the default label points to, else the version that the ledger kept last.
    """
    raise NotImplementedError
