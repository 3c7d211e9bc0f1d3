"""Files of the first version, promptflow's or prompty 0.x's, rewritten as those of prompty 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from surefoot.errors import PromptError, SurefootError
from surefoot.prompts import loading, rendering
from surefoot.prompts.definition import Prompt, normalised
from surefoot.prompts.references import StoredFiles, Taken
from surefoot.prompts.rewriting import rewritten
from surefoot.prompts.translating import Translation
from surefoot.values import Json, PromptText, prompt_digest

if TYPE_CHECKING:
    import yaml

_KEPT = frozenset({"$schema", "name", "description", "cache"})
_COMMENT_AT_END = re.compile(r"^[^#\n]*\S[ \t]+#[ \t]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A file rewritten for prompty 2. `notes` say what means something else there, or could not be taken over."""

    text: str
    notes: tuple[str, ...] = ()


def upgraded(prompt: Prompt) -> Upgrade:
    """The text of a prompt in the dialect of prompty 2, which renders the same messages.

    Keys that need no change stay as they are written, with their comments and in their order. Names of files that hold
    text stay; data that lie in a file, or in a base, are written out, since prompty 2 has other words for them.

    A file of prompty 2 is returned as it is.

    Raises:
        PromptError: the prompt is in the short form, which is no `.prompty` file.
    """
    if prompt.dialect == "prompty-v2":
        return Upgrade(prompt.text, ("it is of prompty 2 already",))
    if prompt.dialect == "short":
        raise PromptError(
            f"{prompt.at(1)}: prompt {prompt.label} is in the short form, which stays as it is; name a `.prompty`"
            " file"
        )
    source = prompt.source or Path(f"{prompt.name}.prompty")
    front = loading.front_of(prompt.text, source, prompt.dialect, Taken(StoredFiles(prompt.files)))
    translation = Translation(prompt, front)
    template = rewritten(prompt, translation.notes)
    sections = translation.sections()
    text = _text(front, sections, template, translation.notes)
    try:
        made = _reloaded(text, prompt, source)
    except PromptError:
        # A part that stayed needs one that did not, as by an anchor of YAML: then all is written anew.
        text = _written(front, sections) + template
        made = _reloaded(text, prompt, source)
    _compare(prompt, made, translation.notes)
    return Upgrade(made.text, tuple(translation.notes))


def _reloaded(text: str, prompt: Prompt, source: Path) -> Prompt:
    text = normalised(text)
    # What the new text still takes in is a part of what the old one did.
    taken = Taken(StoredFiles(prompt.files))
    loading.front_of(text, source, "prompty-v2", taken)
    kept = PromptText(
        prompt.name,
        prompt.version,
        prompt_digest(text, taken.texts),
        "prompty-v2",
        str(source),
        text,
        taken.texts,
    )
    return loading.parse_stored(kept)


def _compare(old: Prompt, new: Prompt, notes: list[str]) -> None:
    """Render both for the sample, and tell what differs."""
    try:
        expected = rendering.messages_of(old, _values(old))
    except SurefootError:
        # It has no sample, or not a whole one, by which it could be compared.
        return
    try:
        found = rendering.messages_of(new, _values(old))
    except SurefootError as error:
        notes.append(f"with the sample it does not render any more: {error}")
        return
    if found != expected:
        first = next(
            (index for index, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]),
            min(len(expected), len(found)),
        )
        notes.append(
            f"with the sample it renders other messages: {len(expected)} before, {len(found)} now, and they differ "
            f"from message {first + 1} on"
        )


def _values(prompt: Prompt) -> dict[str, object]:
    """The sample; promptflow ignores what of it is not declared."""
    is_whole = prompt.dialect != "promptflow" or not prompt.inputs
    return {name: value for name, value in prompt.sample.items() if is_whole or name in prompt.inputs}


def _text(front: loading.Front, sections: Mapping[str, Json], template: str, notes: list[str]) -> str:
    """The file with the sections that changed put in the places of the old ones."""
    node = front.document.node
    if node is None or node.flow_style:
        return _written(front, sections) + template
    lines = (
        front.parts.front.split("\n")[:-1]
        if front.parts.front.endswith("\n")
        else front.parts.front.split("\n")
    )
    chunks = _chunks(node, lines)
    left = dict(sections)
    made: list[str] = list(chunks.pop("", []))
    lost = False
    for key, chunk in chunks.items():
        if key in _KEPT and key not in left:
            made += chunk
            continue
        made += [line.strip() for line in chunk if line.lstrip().startswith("#")]
        lost |= _COMMENT_AT_END.search("\n".join(chunk)) is not None
        # The metadata take the place of the first key that moved there.
        for name in (key, "tools") if key == "model" else (key if key in left else "metadata",):
            if name in left:
                made += _dumped({name: left.pop(name)})
    for name in list(left):
        made += _dumped({name: left.pop(name)})
    if lost:
        notes.append("comments at the ends of lines are gone where the lines are written anew")
    return "\n".join(["---", *made, "---", ""]) + template


def _chunks(node: yaml.MappingNode, lines: list[str]) -> dict[str, list[str]]:
    """The lines of each key of the top level with the comments right above it; under no name what comes first."""
    starts: list[tuple[int, str]] = []
    floor = 0
    pairs = cast("list[tuple[yaml.ScalarNode, yaml.Node]]", node.value)
    for key, _ in pairs:
        start = key.start_mark.line
        while start > floor and (lines[start - 1].startswith("#") or not lines[start - 1].strip()):
            start -= 1
        starts.append((start, str(key.value)))
        floor = key.start_mark.line + 1
    chunks = {"": lines[: starts[0][0]]} if starts else {"": lines}
    for (start, name), (end, _) in zip(starts, [*starts[1:], (len(lines), "")], strict=True):
        chunks[name] = lines[start:end]
    return chunks


def _written(front: loading.Front, sections: Mapping[str, Json]) -> str:
    """A whole front matter, written anew."""
    kept = {key: value for key, value in front.values.items() if key in _KEPT}
    return "\n".join(["---", *_dumped({**kept, **sections}), "---", ""])


def _dumped(data: Mapping[str, Json]) -> list[str]:
    from surefoot.prompts import yamltext

    return yamltext.dumped(data).rstrip("\n").split("\n") if data else []
