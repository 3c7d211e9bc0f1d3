"""The checks of `surefoot check`, each a function over the project; a further one is a line in `CHECKS`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.cli.findings import Finding, Severity, told
from surefoot.errors import LedgerError, PromptError, UnknownPrompt, UsageError
from surefoot.prompts.stored import relative

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.cli.gathering import Gathered
    from surefoot.flows.checking import Report
    from surefoot.prompts import Library, Prompt
    from surefoot.prompts.definition import Names
    from surefoot.prompts.fitting import Use

_VERSION = r"^[\"']?version[\"']?[ \t]*:"


@dataclass(slots=True)
class Subject:
    """What is checked. `library` is without its ledger where that cannot be asked; `reports` are of the flows."""

    app: App
    library: Library
    gathered: Gathered
    has_ledger: bool
    reports: tuple[Report, ...] = ()
    _meant: dict[str, Prompt | UsageError | LedgerError] = field(
        default_factory=dict[str, "Prompt | UsageError | LedgerError"]
    )

    @classmethod
    def of(cls, app: App, *, days: float) -> Subject:
        """Look through code and runs. Raises nothing for a ledger that is not there or does not answer."""
        from surefoot.cli.gathering import alone, gathered, gone_through, no_ledger

        found = gathered(app, days=days)
        reports = gone_through(found.code)
        why = found.unasked or no_ledger(app)
        if not why:
            try:
                app.prompts.versions()
            except PromptError:
                # A malformed `labels.toml`, of which `labels` tells.
                pass
            except LedgerError as error:
                why = str(error)
        if why:
            return cls(app, alone(app), replace(found, unasked=why), has_ledger=False, reports=reports)
        return cls(app, app.prompts, found, has_ledger=True, reports=reports)

    @property
    def root(self) -> Path:
        """The folder of the project."""
        return self.app.settings.root

    def meant(self, reference: str) -> Prompt | UsageError | LedgerError:
        """What a reference means, or why it means nothing; asked once."""
        if reference not in self._meant:
            try:
                self._meant[reference] = self.library.find(reference)
            except (UsageError, LedgerError) as error:
                self._meant[reference] = error
        return self._meant[reference]

    def loaded(self, use: Use) -> Prompt | PromptError | None:
        """The prompt of a file that is loaded by its path, seen from the project or the code; None: it is not there."""
        from surefoot.prompts import load

        beside = (self.root / use.file.partition(":cell ")[0]).parent
        for path in (self.root / use.path, beside / use.path):
            if path.is_file():
                try:
                    return load(path, roots=self.library.roots)
                except PromptError as error:
                    return error
        return None


def files(subject: Subject) -> Iterator[Finding]:
    """Files that cannot be read, and versions that have two texts."""
    root, folder = subject.root, subject.library.folder
    for problem in subject.library.problems():
        yield told("files", "error", str(problem), root=root, file=folder)
    known: dict[tuple[str, str], Prompt] = {}
    for prompt in subject.library.prompts():
        other = known.setdefault((prompt.name, prompt.version), prompt)
        if other.digest != prompt.digest:
            version = f"version {prompt.version}" if prompt.version else "no version"
            first = relative(other.source or folder, root)
            yield Finding(
                *("files", "error", relative(prompt.source or folder, root), 1),
                f"the prompt {prompt.name!r} is declared with {version} here and in {first}, with another text; give "
                "one of them another version or name",
            )


def edited(subject: Subject) -> Iterator[Finding]:
    """Files whose text is another than their version had: an error where a label points to that version."""
    if not subject.has_ledger:
        return
    labels = {(one.name, one.digest): one.labels for one in subject.library.versions() if one.labels}
    for one in subject.library.edited():
        prompt = one.prompt
        pointing = [*labels.get((prompt.name, one.known), ()), *labels.get((prompt.name, prompt.digest), ())]
        severity: Severity = "error" if pointing else "warning"
        what = f" ({', '.join(sorted(set(pointing)))} points to it)" if pointing else ""
        yield Finding(
            *("edited", severity, relative(prompt.source or subject.library.folder, subject.root)),
            _line_of(prompt.text, _VERSION),
            f"it was edited under the version {prompt.version} of prompt {prompt.name!r}{what}: its digest is "
            f"{prompt.digest[:8]}, that of the version in the ledger {one.known[:8]}; give it a new version",
        )


def labels(subject: Subject) -> Iterator[Finding]:
    """What `labels.toml` says that means nothing, or that the ledger says otherwise."""
    library = subject.library
    file = library.labels.file
    try:
        seeds = library.labels.seeds()
    except PromptError as error:
        yield told("labels", "error", str(error), root=subject.root, file=file)
        return
    if not seeds:
        return
    text = file.read_text(encoding="utf-8")
    for (name, label), value in seeds.items():
        found = subject.meant(f"{name}@{value}")
        if isinstance(found, UnknownPrompt):
            place = relative(file, subject.root), _line_of_label(text, name, label)
            yield Finding("labels", "error", *place, f"[{name}] {label}: {found}")
    for one in library.differences() if subject.has_ledger else ():
        place = relative(file, subject.root), _line_of_label(text, one.prompt, one.label)
        yield Finding("labels", "warning", *place, str(one))


def uses(subject: Subject) -> Iterator[Finding]:
    """References that mean nothing, and versions that do not fit the places that use them."""
    from surefoot.prompts.fitting import misfits

    for use in subject.gathered.uses:
        if use.unknown:
            continue
        prompts, finding = _meant(subject, use)
        if finding is not None:
            yield replace(finding, flows=use.flows)
        found = [misfits(prompt, [use], names=names) for prompt in prompts if (names := _names(prompt))]
        # Where several versions can be meant, it is a mistake where none of them fits.
        for misfit in found[-1] if found and all(found) else ():
            text = f"{misfit.prompt} {misfit.problem}; {misfit.mend}{_whose(use)}"
            yield Finding("uses", "error", use.file or "(no file)", use.line, text, flows=use.flows)


def unreleased(subject: Subject) -> Iterator[Finding]:
    """Versions that no run has used and no call means yet, and that would not fit if the label came to them."""
    from surefoot.prompts.fitting import concerned, misfits

    if not subject.has_ledger:
        return
    library, found = subject.library, subject.gathered.uses
    new = {
        (one.name, one.digest)
        for one in library.versions()
        if one.state == "file" and not one.first_seen_ns and not one.labels
    }
    for prompt in library.prompts():
        uses = concerned(found, prompt.name, library.label, default=library.label)
        before = subject.meant(prompt.name)
        if (prompt.name, prompt.digest) not in new or isinstance(before, Exception) or before == prompt:
            continue
        if (names := _names(prompt)) is None:
            continue
        for misfit in misfits(prompt, uses, names=names, before=before, had=_names(before)):
            text = f"it could not be promoted to {library.label}: {misfit}{_whose(misfit.use)}"
            place = relative(prompt.source or library.folder, subject.root)
            yield Finding("unreleased", "warning", place, _line_of(prompt.text, _VERSION), text)


def unseen(subject: Subject) -> Iterator[Finding]:
    """What was not looked at, and references that the code puts together at run time."""
    for left in subject.gathered.code.left:
        yield Finding("unseen", "note", left.file, left.line, f"not looked at: {left.why}")
    for use in subject.gathered.code.uses:
        if use.unknown:
            text = f"which prompt is used here is not known: {use.unknown}; runs that come by tell"
            yield Finding("unseen", "note", use.file, use.line, text)


def trust(subject: Subject) -> Iterator[Finding]:
    """Flows in which untrusted text can send private data out, and steps that do not say what they read or send."""
    from surefoot.cli.trust_findings import findings

    return findings(subject.reports)


def using(subject: Subject) -> Iterator[Finding]:
    """What flows use beyond what they declare."""
    from surefoot.cli.uses import findings

    return findings(subject.reports, subject.library)


Check = Callable[[Subject], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (files, edited, labels, uses, unreleased, unseen, trust, using)


def _meant(subject: Subject, use: Use) -> tuple[list[Prompt], Finding | None]:
    """The versions that a use can mean, and what is wrong with its reference."""
    if use.path:
        if use.origin == "run":
            return [], None
        loaded = subject.loaded(use)
        if isinstance(loaded, PromptError):
            finding = told("uses", "error", str(loaded), root=subject.root, file=Path(use.path))
            return [], finding
        if loaded is None:
            text = f"there is no file {use.path} as seen from the project or this file; it may be another's folder"
            return [], Finding("uses", "note", use.file, use.line, text)
        return [loaded], None
    found = subject.meant(use.reference)
    if isinstance(found, UnknownPrompt):
        return _unknown(subject, use, found)
    if isinstance(found, LedgerError):
        return [], Finding("uses", "warning", use.file, use.line, str(found))
    # Other mistakes are those of a file, of which `files` tells.
    return ([], None) if isinstance(found, UsageError) else ([found], None)


def _unknown(subject: Subject, use: Use, error: UnknownPrompt) -> tuple[list[Prompt], Finding]:
    from surefoot.prompts import selecting

    name, selector = selecting.split(use.reference)
    versions = [one for one in subject.library.prompts() if one.name == name]
    is_label = not selector or selecting.may_be_label(selector)
    if versions and is_label and not subject.has_ledger:
        text = f"which version {use.reference!r} means is known to the ledger alone, which was not asked"
        return versions, Finding("uses", "note", use.file, use.line, text)
    severity: Severity = "error" if use.origin == "code" else "warning"
    return [], Finding("uses", severity, use.file or "(no file)", use.line, f"{error}{_whose(use)}")


def _whose(use: Use) -> str:
    """Who comes by, for the end of a sentence."""
    from surefoot.cli import words

    flows = f"flow{'s' if len(use.flows) > 1 else ''} {', '.join(use.flows)}" if use.flows else ""
    if use.origin == "code":
        return f" [{flows}]" if flows else ""
    when = words.ago(use.used_ns, time.time_ns())
    return f" [run {use.run_id}{f' of {flows}' if flows else ''}, {when}]"


def _names(prompt: Prompt) -> Names | None:
    """The names of its template; None where its file has a mistake, of which `files` tells."""
    from surefoot.prompts import rendering

    try:
        return rendering.names_of(prompt)
    except PromptError:
        return None


def _line_of(text: str, pattern: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


def _line_of_label(text: str, name: str, label: str) -> int:
    """Where a label stands in `labels.toml`, as it is written most of the time."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare.startswith("["):
            table = bare.strip("[]").strip().strip("\"'")
        elif table == name and bare.partition("=")[0].strip().strip("\"'") == label:
            return number
    return 1
