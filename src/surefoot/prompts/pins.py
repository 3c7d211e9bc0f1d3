"""What a reference to a prompt means where the code runs: in a run, what it meant there at its first use."""

from __future__ import annotations

import hashlib
from os import PathLike, fspath

from surefoot import scope
from surefoot.prompts.definition import Prompt
from surefoot.prompts.indexing import library


def meant(reference: str, own: Prompt | None = None) -> Prompt:
    """The prompt that a reference means here; `own` is what it meant when somebody asked outside of this run.

    The first use in a run pins it, for the resumes of the run too, whatever becomes of files and labels meanwhile.

    Raises:
        UnknownPrompt: there is no such prompt, or more than one.
        PromptError: its file is malformed, or its text in the ledger is not what it was.
        LedgerError: labels or texts are needed from a ledger that cannot be read.
    """
    here = scope.current()
    if here is None:
        return own if own is not None else library().find(reference)
    pinned = here.pinned(reference)
    if pinned is None:
        prompt = own if own is not None else library().find(reference)
        library().keep(prompt)
        pinned = here.pin(reference, prompt.ref)
        if pinned.digest == prompt.digest:
            return prompt
    if own is not None and own.digest == pinned.digest:
        return own
    return library().at(pinned)


def file_reference(path: str | PathLike[str]) -> str:
    """How a file that is loaded by its path is referred to in the runs that use it."""
    text = fspath(path)
    if len(text) > 200:
        text = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"file:{text}"
