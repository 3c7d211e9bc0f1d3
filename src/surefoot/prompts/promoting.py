"""What stands against pointing a label at a version, and what it would change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surefoot.errors import PromptMisfit, UnknownPrompt
from surefoot.prompts import rendering, selecting
from surefoot.prompts.definition import Prompt
from surefoot.prompts.fitting import Misfit, Use, concerned, misfits
from surefoot.prompts.indexing import Library
from surefoot.prompts.versions import Edited, listed
from surefoot.values import PromptRef


@dataclass(frozen=True, slots=True)
class Promotion:
    """A label and the version that it is to point at, and `before` the one that it points at now, if any.

    `uses` are those that count for it, `misfits` why it does not fit them. `edited` is set where its file has another
    text than its version had.
    """

    prompt: Prompt
    label: str
    before: Prompt | None
    uses: Sequence[Use]
    misfits: Sequence[Misfit]
    edited: Edited | None

    @property
    def is_there(self) -> bool:
        """Whether the label points there already."""
        return self.before is not None and self.before.digest == self.prompt.digest

    def check(self) -> None:
        """Raise `PromptMisfit` where something stands against it; it names file and line of each."""
        problems = [str(misfit) for misfit in self.misfits]
        if self.edited is not None:
            problems.insert(0, str(self.edited))
        if problems:
            raise PromptMisfit(
                f"the label {self.label!r} of prompt {self.prompt.name!r} was not moved to {self.prompt.label}:\n"
                + "\n".join(problems)
                + "\n(`surefoot promote --force` moves it nevertheless)"
            )


def promotion(library: Library, reference: str, label: str, uses: Iterable[Use]) -> Promotion:
    """Look at what it would mean to point a label at the version that a reference names. Nothing is moved.

    Raises `UsageError` for what is no label, `UnknownPrompt`, `PromptError` and `LedgerError`.
    """
    selecting.check_label(label)
    # All files are looked at, so that what was written a moment ago counts.
    library.prompts()
    prompt = _candidate(library, reference)
    before = _pointed_at(library, prompt.name, label)
    meant = concerned(uses, prompt.name, label, default=library.label)
    names = rendering.names_of(prompt)
    had = None if before is None else rendering.names_of(before)
    edited = next(
        (
            one
            for one in library.edited()
            if (one.prompt.name, one.prompt.digest) == (prompt.name, prompt.digest)
        ),
        None,
    )
    found = misfits(prompt, meant, names=names, before=before, had=had)
    return Promotion(prompt, label, before, meant, found, edited)


def _candidate(library: Library, reference: str) -> Prompt:
    name, selector = selecting.split(reference)
    if selector:
        return library.find(reference)
    # Where a name alone means what the label points at now, it cannot say where it is to point.
    versions = [one for one in library.prompts() if one.name == name]
    digests = {one.digest for one in versions}
    if len(digests) == 1:
        return versions[0]
    if not digests:
        return library.find(reference)
    raise UnknownPrompt(
        f"{reference!r} has several versions: {listed(versions)}; name one, as in {name}@VERSION"
    )


def _pointed_at(library: Library, name: str, label: str) -> Prompt | None:
    """The version that a label points at now; None where it points at none, or at a lost text."""
    digest = next((one.digest for one in library.versions(name) if label in one.labels), None)
    if digest is None:
        return None
    try:
        return library.at(PromptRef(name, "", digest))
    except UnknownPrompt:
        return None
