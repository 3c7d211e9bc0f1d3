"""The prompt that a command line names: a file, or a reference into the library."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.errors import UnknownPrompt
from surefoot.values import PromptRef

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.prompts import Dialect, Prompt, PromptVersion


def found(app: App, target: str, *, dialect: Dialect | None = None) -> Prompt:
    """The prompt of a path that exists, else of a reference.

    dialect: how the file is to be read, whatever it looks like.

    Raises `UnknownPrompt`, which names what is near, and `PromptError` for a file that is malformed.
    """
    from surefoot import prompts

    path = Path(target).expanduser()
    if path.is_file():
        return prompts.load(path, dialect=dialect, roots=app.prompts.roots)
    if is_path(target):
        what = "is a folder" if path.is_dir() else "is not there"
        raise UnknownPrompt(
            f"the file {target} {what}: give the path of a prompt file, or a reference such as NAME@VERSION "
            "(`surefoot prompt list` shows them)"
        )
    prompt = app.prompts.find(target)
    if dialect is not None and prompt.source is not None:
        return prompts.load(prompt.source, dialect=dialect, roots=app.prompts.roots)
    return prompt


def is_path(target: str) -> bool:
    """Whether a target that does not exist was meant as a path."""
    from surefoot.prompts.loading import ENDINGS

    return "/" in target or "\\" in target or target.endswith(ENDINGS) or target in (".", "..")


def flow_inputs(target: str, prompt: Prompt) -> dict[str, object]:
    """How the flow of `surefoot prompt run` is told which prompt is meant, wherever it is resumed."""
    path = Path(target).expanduser()
    file = str(path.resolve()) if path.is_file() else ""
    reference = prompt.name if file else target
    return {"prompt": reference, "file": file, "digest": prompt.digest}


def kept_and_file(app: App, target: str) -> tuple[Prompt, Prompt]:
    """What is in force of a prompt, and what its file has now.

    In force is what the default label points to; else, of an edited file, the text that its version had first; else the
    other version that the ledger kept last.

    Raises `UnknownPrompt` where there are not two, and what `found` raises.
    """
    path = Path(target).expanduser()
    in_files = [found(app, target)] if path.is_file() else _in_files(app, target)
    name = in_files[0].name
    versions = app.prompts.versions(name)
    digest = _in_force(app.prompts.label, versions, {prompt.digest for prompt in in_files})
    if digest is None:
        raise UnknownPrompt(
            f"there is nothing to compare {name!r} with: it has no label {app.prompts.label!r}, and the ledger has no "
            "other version of it; name two versions"
        )
    others = [prompt for prompt in in_files if prompt.digest != digest] or in_files[:1]
    if len(others) > 1:
        listed = ", ".join(f"{one.label} ({one.source})" for one in others)
        raise UnknownPrompt(f"{name!r} has several files: {listed}; name the two that are to be compared")
    version = next((one.version for one in versions if one.digest == digest), "")
    return app.prompts.at(PromptRef(name, version, digest)), others[0]


def _in_files(app: App, name: str) -> list[Prompt]:
    in_files = [prompt for prompt in app.prompts.prompts() if prompt.name == name]
    if in_files:
        return in_files
    # It names what is near, or says that the version is in no file.
    prompt = found(app, name)
    raise UnknownPrompt(
        f"{name!r} is one version, {prompt.label}, and no name of a file's prompt: name two to compare"
    )


def _in_force(label: str, versions: Sequence[PromptVersion], in_files: Collection[str]) -> str | None:
    """The digest that is in force; None where there is only what is in files."""
    for one in versions:
        if label in one.labels:
            return one.digest
    for one in versions:
        if one.state == "edited" and one.digest in in_files:
            return one.known
    kept = [one for one in versions if one.state == "ledger"]
    return max(kept, key=lambda one: one.first_seen_ns).digest if kept else None
