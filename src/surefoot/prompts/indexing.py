"""The library: a folder of prompt files, and the references by which flows ask for them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import PromptError, UnknownPrompt
from surefoot.locks import ForkSafeLock
from surefoot.prompts.definition import Prompt
from surefoot.prompts.loading import is_short_form, parse, read_text
from surefoot.scope import Slot

_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file as it was read at a time of change and a size: a prompt, a mistake, or neither."""

    changed_ns: int
    size: int
    prompt: Prompt | None = None
    problem: PromptError | None = None


class Library:
    """The prompts in a folder and below it: `*.prompty`, and `*.yaml` or `*.yml` with a `prompt_id`.

    Files are read when they are first asked for and again when they change. A malformed file spoils only
    itself. Safe to use from several threads.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = ForkSafeLock()
        self._entries: dict[Path, _Entry] = {}

    def prompts(self) -> list[Prompt]:
        """Every prompt that can be read, by name, then by version."""
        found = [entry.prompt for entry in self._current().values() if entry.prompt is not None]
        return sorted(found, key=lambda prompt: (prompt.name, prompt.version, str(prompt.source)))

    def problems(self) -> list[PromptError]:
        """What is wrong with the files that cannot be read."""
        return [entry.problem for entry in self._current().values() if entry.problem is not None]

    def find(self, reference: str) -> Prompt:
        """The prompt that a reference names.

        A reference is a name, or `name@x` with x a declared version (a leading `v` is optional) or the first
        8 or more digits of a digest. A name is never split: `summary_v2` is a name. Without `@` the prompt
        must have only one version.

        Raises:
            UnknownPrompt: there is no such prompt, or more than one; the message lists what there is.
            PromptError: two files declare the same name and version with different texts.
        """
        prompts = self.prompts()
        name, selector = reference, ""
        candidates = [prompt for prompt in prompts if prompt.name == reference]
        if not candidates and "@" in reference:
            name, _, selector = reference.rpartition("@")
            candidates = [prompt for prompt in prompts if prompt.name == name]
        if not candidates:
            raise self._unknown(name, prompts)
        candidates = _distinct(candidates)
        matching = selected(candidates, selector)
        if len(matching) == 1:
            return matching[0]
        raise UnknownPrompt(_no_single(reference, name, selector, matching, candidates))

    def _current(self) -> dict[Path, _Entry]:
        with self._lock:
            entries: dict[Path, _Entry] = {}
            for path, changed_ns, size in _files(self.folder):
                known = self._entries.get(path)
                is_same = known is not None and (known.changed_ns, known.size) == (changed_ns, size)
                entries[path] = known if known is not None and is_same else _read(path, changed_ns, size)
            self._entries = entries
            return entries

    def _unknown(self, name: str, prompts: list[Prompt]) -> UnknownPrompt | PromptError:
        problems = self.problems()
        if not self.folder.is_dir():
            return UnknownPrompt(
                f"no prompt {name!r}: the folder {self.folder} does not exist; make it or set prompts.path"
            )
        names = sorted({prompt.name for prompt in prompts})
        near = difflib.get_close_matches(name, names, n=1)
        parts = [f"no prompt {name!r} in {self.folder}"]
        if near:
            parts.append(f"did you mean {near[0]!r}?")
        parts.append(f"there are: {', '.join(names)}" if names else "it holds no prompt")
        parts += [f"not readable: {problem}" for problem in problems]
        return UnknownPrompt("; ".join(parts))


library: Slot[Library] = Slot("prompt library")


def selected(candidates: list[Prompt], selector: str) -> list[Prompt]:
    """The versions that a selector means: by version, else by digest; all of them if it is empty."""
    if not selector:
        return candidates
    wanted = _version_key(selector)
    by_version = [
        prompt for prompt in candidates if prompt.version and _version_key(prompt.version) == wanted
    ]
    if by_version or not _DIGEST.fullmatch(selector.lower()):
        return by_version
    return [prompt for prompt in candidates if prompt.digest.startswith(selector.lower())]


def _version_key(version: str) -> str:
    return version[1:] if version[:1] in ("v", "V") and len(version) > 1 else version


def _distinct(prompts: list[Prompt]) -> list[Prompt]:
    """One prompt for each version. Raises `PromptError` if a version has two texts."""
    kept: dict[str, Prompt] = {}
    for prompt in prompts:
        other = kept.setdefault(prompt.version, prompt)
        if other.digest != prompt.digest:
            version = f"version {prompt.version}" if prompt.version else "no version"
            raise PromptError(
                f"{other.source} and {prompt.source} both declare the prompt {prompt.name!r} with {version}, "
                "but their texts differ; give one of them another version or name"
            )
    return list(kept.values())


def _no_single(
    reference: str, name: str, selector: str, matching: list[Prompt], candidates: list[Prompt]
) -> str:
    if not matching:
        return (
            f"prompt {name!r} has no version or digest {selector!r}; there are: {_listed(candidates)} "
            "(a digest needs its first 8 digits)"
        )
    meant = "fits" if selector else "has no version in it and fits"
    return (
        f"the reference {reference!r} {meant} {len(matching)} prompts: {_listed(matching)}; name one of them"
    )


def _listed(prompts: list[Prompt]) -> str:
    return ", ".join(
        f"{prompt.label if prompt.version else f'{prompt.name}@{prompt.digest[:8]}'} ({prompt.source})"
        for prompt in prompts
    )


def _files(folder: Path) -> Iterator[tuple[Path, int, int]]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith((".prompty", ".yaml", ".yml")) and not name.startswith("."):
                path = Path(parent, name)
                try:
                    status = path.stat()
                except OSError:
                    # It was there a moment ago, or is a link to nowhere.
                    continue
                yield path, status.st_mtime_ns, status.st_size


def _read(path: Path, changed_ns: int, size: int) -> _Entry:
    try:
        text = read_text(path)
        is_prompt = path.suffix == ".prompty" or is_short_form(text)
        return _Entry(changed_ns, size, prompt=parse(text, path) if is_prompt else None)
    except PromptError as error:
        return _Entry(changed_ns, size, problem=error)
