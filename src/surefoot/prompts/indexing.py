"""The library: the versions of prompts, in files and in the ledger, and the references by which flows ask for them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from surefoot import scope
from surefoot.errors import LedgerError, PromptError, UnknownPrompt, UsageError
from surefoot.prompts import labels as labelling
from surefoot.prompts import selecting
from surefoot.prompts.archive import Archive
from surefoot.prompts.definition import Prompt
from surefoot.prompts.folder import Folder, Shelf, check_length
from surefoot.prompts.labels import Key, Known, Labels, Seeds
from surefoot.prompts.noting import Notes
from surefoot.prompts.stored import parsed, text_of
from surefoot.prompts.versions import Edited, LabelDifference, PromptVersion, listed, original
from surefoot.scope import Slot
from surefoot.values import Label, PromptRef, PromptText

_log = scope.logger("surefoot.prompts")

_MOST_REMEMBERED = 2_000
_MOST_UNREADABLE = 2
_PATIENCE = 1.0
"""Seconds to wait for a ledger that is away, for what is only to be told."""


class Guard(Protocol):
    """Says whether a label may be moved."""

    def __call__(self, library: Library, prompt: Prompt, label: str, *, force: bool) -> str:
        """Raise where something stands against it; forced, say what was passed over, in words for the record."""
        ...


class Library:
    """The prompts in a folder and below it, the versions that runs have used, and labels.

    Files are read when they are first asked for and again when they change. A malformed file spoils only
    itself. Safe to use from several threads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        archive: Archive | None = None,
        label: str = "production",
        refresh: float = 5.0,
        root: Path | None = None,
        roots: Sequence[Path] = (),
        guard: Guard | None = None,
    ) -> None:
        """`archive` keeps versions, labels and uses: without one nothing is kept.

        label: what a reference without `@` means, where the prompt has it.
        refresh: for how many seconds labels count that were read.
        root: the folder of the project, to which files are shown relative.
        roots: folders from which prompt files may take in others, beside their own.
        guard: what is asked before a label is moved.
        """
        self.folder = folder
        self.label = label
        self.archive = archive
        self.labels = Labels(folder / labelling.FILE, archive, refresh=refresh)
        self.roots = tuple(roots)
        self._files = Folder(folder, roots)
        self._root = root
        self._guard = guard
        self._notes = None if archive is None else Notes(archive, root)
        # Of references that mean no label, and of those that may.
        self._answers = [_Answers(Shelf(), Known(), {}), _Answers(Shelf(), Known(), {})]
        # What was met, by digest and name: pins go on to mean it whatever becomes of its file.
        self._met: dict[tuple[str, str], Prompt] = {}
        self._kept_texts: dict[tuple[str, str], PromptText] = {}
        self._originals: dict[tuple[str, str, str], str] = {}
        self._told: set[object] = set()

    # Looking

    def prompts(self) -> list[Prompt]:
        """Every prompt that can be read from a file, by name, then by version."""
        return [
            prompt for prompts in self._files.shelf(is_thorough=True).by_name.values() for prompt in prompts
        ]

    def problems(self) -> list[PromptError]:
        """What is wrong with the files that cannot be read."""
        return list(self._files.shelf(is_thorough=True).problems)

    def find(self, reference: str) -> Prompt:
        """The prompt that a reference names.

        A reference is a name, or `name@x` with x a label, else a declared version (a leading `v` is optional), else
        the first 8 or more digits of a digest. A name is never split: `summary_v2` is a name. Without `@` it means
        what the label `production` (the setting `prompts.label`) points at, or else the only version.
        What a file has goes before what only the ledger has.

        Raises:
            UnknownPrompt: there is no such prompt, or more than one; the message lists what there is.
            PromptError: two files declare the same name and version with different texts.
            LedgerError: a label or a text is needed of a ledger that cannot be read.
        """
        known, seeds = self._labels_of(reference)
        is_labelled = known is not _NO_LABELS
        answers, shelf = self._answers[is_labelled], self._files.shelf()
        if answers.are_of(shelf, known, seeds) and (prompt := answers.prompts.get(reference)) is not None:
            if self._is_as_read(prompt, shelf):
                return prompt
            shelf = self._files.shelf(is_thorough=True)
        try:
            found = self._find(reference, shelf, known, seeds)
        except (UnknownPrompt, PromptError):
            # A file may have been written in place a moment ago.
            shelf = self._files.shelf(is_thorough=True)
            found = self._find(reference, shelf, known, seeds)
        if not answers.are_of(shelf, known, seeds) or len(answers.prompts) > _MOST_REMEMBERED:
            answers = self._answers[is_labelled] = _Answers(shelf, known, seeds)
        answers.prompts[reference] = found
        self._meet(found)
        return found

    def at(self, ref: PromptRef) -> Prompt:
        """The prompt with a digest, from wherever its text is.

        Raises:
            UnknownPrompt: neither a file nor the ledger has it.
            PromptError: its text in the ledger is not what it was.
            LedgerError: the ledger cannot be read.
        """
        met = self._met.get((ref.digest, ref.name))
        if met is not None:
            return met
        of_name = self._files.shelf(is_thorough=True).by_name.get(ref.name, ())
        found = next((prompt for prompt in of_name if prompt.digest == ref.digest), None)
        if found is None:
            stored = [text for text in self._texts(digest=ref.digest) if text.name == ref.name]
            if not stored:
                version = f" (version {ref.version})" if ref.version else ""
                raise UnknownPrompt(
                    f"prompt {ref.name!r} with the digest {ref.digest[:12]}{version} is neither in {self.folder} nor "
                    "in the ledger: bring its file back as it was, or point the label at another version"
                )
            found = parsed(stored[0])
        self._meet(found)
        return found

    def versions(self, name: str = "") -> list[PromptVersion]:
        """The versions of a prompt, or of all, in files and in the ledger: by name, those in files first.

        Raises `LedgerError`, and `PromptError` for a malformed `labels.toml`.
        """
        shelf = self._files.shelf(is_thorough=True)
        kept = self._texts(name)
        pointing: dict[tuple[str, str], list[str]] = {}
        for (owner, label), digest in self._targets(shelf, kept).items():
            pointing.setdefault((owner, digest), []).append(label)
        seen = {(text.name, text.digest): text.first_seen_ns for text in kept}
        found: list[PromptVersion] = []
        done: set[tuple[str, str]] = set()
        for prompt in (one for own, some in shelf.by_name.items() if own == (name or own) for one in some):
            key = (prompt.name, prompt.digest)
            first = original(prompt, kept)
            done.add(key)
            found.append(
                PromptVersion(
                    *(prompt.name, prompt.version, prompt.digest, "edited" if first else "file"),
                    source=text_of(prompt, self._root).source,
                    labels=tuple(sorted(pointing.get(key, ()))),
                    known=first,
                    first_seen_ns=seen.get(key, 0),
                )
            )
        for text in kept:
            key = (text.name, text.digest)
            if key not in done:
                labels = tuple(sorted(pointing.get(key, ())))
                found.append(
                    PromptVersion(
                        *(text.name, text.version, text.digest, "ledger", text.source, labels),
                        first_seen_ns=text.first_seen_ns,
                    )
                )
        # Stable: files first, then the newest of those that only the ledger has.
        return sorted(found, key=lambda one: one.name)

    def edited(self) -> list[Edited]:
        """The files whose text is another than the one that their version had first. Raises `LedgerError`."""
        kept = self._texts()
        return [Edited(prompt, first) for prompt in self.prompts() if (first := original(prompt, kept))]

    def differences(self) -> list[LabelDifference]:
        """The labels that point elsewhere in the ledger than in `labels.toml`.

        Raises `LedgerError`, and `PromptError` for a malformed file.
        """
        shelf, kept = self._files.shelf(is_thorough=True), self._texts()
        self.labels.forget()
        known, seeds = self.labels.known(), self.labels.seeds()
        return [
            LabelDifference(*key, value, label)
            for key, value in seeds.items()
            if (label := known.labels.get(key)) is not None
            and self._seeded(key[0], value, shelf, kept) != label.digest
        ]

    def labels_text(self) -> str:
        """A `labels.toml` with all labels as they count now: those of the ledger, and those that only the file has.

        A label stands with its version where that has one text only, else with its digest. Raises `LedgerError`, and
        `PromptError` for a malformed file.
        """
        shelf, kept = self._files.shelf(is_thorough=True), self._texts()
        self.labels.forget()
        lines: dict[Key, tuple[str, str]] = {key: (value, "") for key, value in self.labels.seeds().items()}
        for key, label in self.labels.known().labels.items():
            some: list[Prompt | PromptText] = [*shelf.by_name.get(label.prompt, ()), *kept]
            digests = {one.digest for one in some if (one.name, one.version) == (label.prompt, label.version)}
            is_plain = label.version and digests <= {label.digest}
            lines[key] = (label.version, label.digest[:12]) if is_plain else (label.digest, label.version)
        return labelling.written(lines)

    # Changing

    def promote(
        self, reference: str, label: str, *, by: str = "", reason: str = "", force: bool = False
    ) -> Label:
        """Point a label at the version that a reference names; the move as the ledger has it.

        force: move it though it has not passed the gates that guard the label; the reason in the record says so.

        Whether it fits the places that use it is not looked at: `surefoot promote` reads the code for that. Raises
        `GatePending` where a gate was not passed, `UsageError` for what is no label, what `find` raises, and
        `LedgerError`.
        """
        selecting.check_label(label)
        if self.archive is None:
            raise UsageError("this library has no ledger, so that its labels cannot be moved")
        prompt = self.find(reference)
        passed_over = "" if self._guard is None else self._guard(self, prompt, label, force=force)
        if passed_over:
            reason = f"{reason} (forced over {passed_over})".strip()
        self.keep(prompt)
        moved = self.archive.move(
            Label(prompt.name, label, prompt.version, prompt.digest, by=by, reason=reason)
        )
        self.labels.forget()
        return moved

    def keep(self, prompt: Prompt) -> None:
        """See to it that the ledger has the text of a prompt, no later than the next outcome of the run.

        Raises `PromptError` for a name or version that is too long to be kept.
        """
        self._meet(prompt)
        if self.archive is None:
            return
        key = (prompt.digest, prompt.name)
        text = self._kept_texts.get(key)
        if text is None:
            check_length(prompt, str(prompt.source or prompt.label[:20]))
            if len(self._kept_texts) > _MOST_REMEMBERED:
                self._kept_texts.clear()
            text = self._kept_texts[key] = text_of(prompt, self._root)
        self.archive.keep(text)

    def note(self, prompt: Prompt, reference: str, inputs: Mapping[str, object]) -> None:
        """Note that the run that is open here has rendered a prompt with these inputs."""
        if self._notes is not None:
            self.keep(prompt)
            self._notes.note(prompt, reference, inputs)

    # Inside

    def _labels_of(self, reference: str) -> tuple[Known, Seeds]:
        """The labels, where the reference may mean one."""
        _, selector = selecting.split(reference)
        if selector and not selecting.may_be_label(selector):
            return _NO_LABELS, _NO_SEEDS
        return self.labels.known(), self.labels.seeds()

    def _is_as_read(self, prompt: Prompt, shelf: Shelf) -> bool:
        # One from the ledger has a source too, which is no file of today.
        in_files = shelf.by_name.get(prompt.name, ())
        return all(one is not prompt for one in in_files) or self._files.is_current(prompt)

    def _meet(self, prompt: Prompt) -> None:
        if len(self._met) > _MOST_REMEMBERED:
            self._met.clear()
        self._met.setdefault((prompt.digest, prompt.name), prompt)

    def _texts(self, name: str = "", digest: str = "") -> list[PromptText]:
        return [] if self.archive is None else self.archive.texts(name, digest)

    def _find(self, reference: str, shelf: Shelf, known: Known, seeds: Seeds) -> Prompt:
        name, selector = selecting.split(reference)
        if not name or (not selector and reference.endswith("@")):
            raise UnknownPrompt(
                f"the reference {reference!r} is not complete: write NAME, or NAME@ and a version, a label or a digest"
            )
        in_files = shelf.by_name.get(name, ())
        label = selector or self.label
        if label and (selecting.may_be_label(label) or not selector):
            digest = self._target(name, label, shelf, known, seeds)
            if digest is not None:
                return self._labelled(name, label, digest, in_files)
        if not in_files and not selector:
            raise self._unknown(name, shelf)
        matching = selecting.selected(selecting.distinct(in_files) if in_files else [], selector)
        if not matching and selector:
            texts = selecting.selected(self._texts(name), selector)
            if len(texts) == 1:
                return self.at(PromptRef(name, texts[0].version, texts[0].digest))
            if texts:
                raise UnknownPrompt(
                    f"the reference {reference!r} fits {len(texts)} texts that runs have used: {listed(texts)}; "
                    "name one of them by its digest"
                )
        if len(matching) == 1:
            self._check_edited(matching[0])
            return matching[0]
        if not in_files:
            raise self._unknown(name, shelf)
        raise UnknownPrompt(_no_single(reference, name, selector, matching, in_files))

    def _labelled(self, name: str, label: str, digest: str, in_files: Iterable[Prompt]) -> Prompt:
        for prompt in in_files:
            if prompt.digest == digest:
                return prompt
        for prompt in in_files:
            self._check_edited(prompt)
        try:
            return self.at(PromptRef(name, "", digest))
        except UnknownPrompt as error:
            raise UnknownPrompt(
                f"the label {label!r} of prompt {name!r} points at a lost text: {error}"
            ) from None

    def _target(self, name: str, label: str, shelf: Shelf, known: Known, seeds: Seeds) -> str | None:
        """The digest that a label points at: that in the ledger, else by the file; None where neither has it."""
        moved, seed = known.labels.get((name, label)), seeds.get((name, label))
        if moved is None:
            return None if seed is None else self._seeded(name, seed, shelf, None, is_needed=True)
        if seed is not None and (name, label, moved.digest, seed) not in self._told:
            if len(self._told) > _MOST_REMEMBERED:
                self._told.clear()
            self._told.add((name, label, moved.digest, seed))
            kept = self._kept_if_there(name)
            if kept is not None and self._seeded(name, seed, shelf, kept) != moved.digest:
                _log.warning("%s", LabelDifference(name, label, seed, moved))
        return moved.digest

    def _seeded(
        self, name: str, value: str, shelf: Shelf, kept: list[PromptText] | None, *, is_needed: bool = False
    ) -> str | None:
        """The digest that `labels.toml` means; None, or an error where it `is_needed`, for no single version."""
        found: set[str] = {one.digest for one in selecting.selected(shelf.by_name.get(name, ()), value)}
        if not found:
            texts = self._texts(name) if kept is None else [text for text in kept if text.name == name]
            found = {text.digest for text in selecting.selected(texts, value)}
        if len(found) == 1:
            return found.pop()
        if is_needed:
            what = f"fits {len(found)} texts" if found else "is no version of it, in files or in the ledger"
            raise UnknownPrompt(
                f"{self.labels.file}: [{name}] has a label for {value!r}, which {what}; name one by its digest"
            )
        return None

    def _targets(self, shelf: Shelf, kept: list[PromptText]) -> dict[Key, str]:
        """Where all labels point, as they count."""
        self.labels.forget()
        found = {key: label.digest for key, label in self.labels.known().labels.items()}
        for (prompt, label), value in self.labels.seeds().items():
            digest = self._seeded(prompt, value, shelf, kept)
            if digest is not None:
                found.setdefault((prompt, label), digest)
        return found

    def _check_edited(self, prompt: Prompt) -> None:
        """Warn, once, of a file whose text is another than the one that its version had first."""
        key = (prompt.name, prompt.version, prompt.digest)
        if not prompt.version or self.archive is None or key in self._originals:
            return
        kept = self._kept_if_there(prompt.name)
        if kept is None:
            return
        first = original(prompt, kept)
        if len(self._originals) > _MOST_REMEMBERED:
            self._originals.clear()
        self._originals[key] = first
        if first:
            _log.warning("%s", Edited(prompt, first))

    def _kept_if_there(self, name: str) -> list[PromptText] | None:
        """The versions that the ledger has; None where it is away, for which nobody is to wait, or to fail."""
        try:
            return [] if self.archive is None else self.archive.texts(name, patience=_PATIENCE)
        except LedgerError as error:
            _log.debug("which versions of %s the ledger has is not known: %s", name, error)
            return None

    def _unknown(self, name: str, shelf: Shelf) -> UnknownPrompt:
        if texts := self._kept_if_there(name):
            return UnknownPrompt(
                f"no file in {self.folder} has the prompt {name!r}; runs have used {listed(texts)}: bring a file "
                "back, or name one of them"
            )
        if not self.folder.is_dir():
            return UnknownPrompt(
                f"no prompt {name!r}: the folder {self.folder} does not exist; make it or set prompts.path"
            )
        names = sorted(shelf.by_name)
        near = difflib.get_close_matches(name, names, n=1)
        parts = [f"no prompt {name!r} in {self.folder}"]
        if near:
            parts.append(f"did you mean {near[0]!r}?")
        parts.append(f"there are: {', '.join(names)}" if names else "it holds no prompt")
        parts += _unreadable(name, shelf.problems)
        return UnknownPrompt("; ".join(parts))


library: Slot[Library] = Slot("prompt library")

_NO_LABELS = Known()
_NO_SEEDS: Seeds = {}


class _Answers:
    """What references meant, for as long as files and labels are what they were."""

    __slots__ = ("known", "prompts", "seeds", "shelf")

    def __init__(self, shelf: Shelf, known: Known, seeds: Seeds) -> None:
        self.shelf = shelf
        self.known = known
        self.seeds = seeds
        self.prompts: dict[str, Prompt] = {}

    def are_of(self, shelf: Shelf, known: Known, seeds: Seeds) -> bool:
        return self.shelf is shelf and self.known is known and self.seeds is seeds


def _unreadable(name: str, problems: Sequence[PromptError]) -> list[str]:
    """What cannot be read, of which the prompt may be: the file of its name first, and few of them."""
    ordered = sorted(map(str, problems), key=lambda problem: f"/{name}." not in problem.replace("\\", "/"))
    parts = [f"not readable: {problem}" for problem in ordered[:_MOST_UNREADABLE]]
    if len(ordered) > _MOST_UNREADABLE:
        more = len(ordered) - _MOST_UNREADABLE
        parts.append(f"{more} more file{'s' if more > 1 else ''} cannot be read: `surefoot check` lists them")
    return parts


def _no_single(
    reference: str, name: str, selector: str, matching: list[Prompt], candidates: Iterable[Prompt]
) -> str:
    if not matching:
        return (
            f"prompt {name!r} has no label, version or digest {selector!r}; there are: {listed(candidates)} "
            "(a digest needs its first 8 digits)"
        )
    meant = "fits" if selector else "has no version in it and fits"
    return (
        f"the reference {reference!r} {meant} {len(matching)} prompts: {listed(matching)}; name one of them"
    )
