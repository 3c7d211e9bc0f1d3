"""The template of a file of the first version, rewritten so that prompty 2 makes the same of it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from surefoot.prompts.definition import Prompt

if TYPE_CHECKING:
    from jinja2 import Environment

_MARKER = re.compile(r"^[ \t]*#?[ \t]*(?:system|user|assistant)[ \t]*:[ \t]*$", re.IGNORECASE)
# Tags that only steer may stand on the line of a marker.
_TAGS = r"(?:\{%(?:(?!%\}).)*%\}|\{\#(?:(?!\#\}).)*\#\}|[ \t])*"


def _alone(words: str) -> re.Pattern[str]:
    return re.compile(rf"^({_TAGS})(\#?[ \t]*(?:{words})[ \t]*:)({_TAGS})$", re.IGNORECASE | re.MULTILINE)


# What prompty 2 takes for a marker, and the first version for text.
_NEW_MARKER = _alone(
    r"developer[ \t]*(?:\[[^\]\n]*\])?|(?:system|user|assistant)[ \t]*\[[^\]\n]*\]",
)
_ANY_MARKER = _alone("system|user|assistant|developer")
_LOST_ROLE = re.compile(r"^[ \t]*#?[ \t]*(tool|function)[ \t]*:[ \t]*$", re.IGNORECASE | re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*(#{0,2}[ \t]*(?:tool_calls|tool_call_id|name)[ \t]*:)[ \t]*$", re.MULTILINE)
_PICTURE = re.compile(r"!\[[ \t]*image[ \t]*\]\(\{\{[ \t]*(\w+)[ \t]*\}\}\)")
_WRITTEN_PICTURE = re.compile(r"!\[[^\]\n]*\]\((?!\{\{)[^)\n]+\)")


def rewritten(prompt: Prompt, notes: list[str]) -> str:
    """The template for prompty 2; `notes` are added to where something cannot be said there."""
    template = prompt.template
    if prompt.dialect == "promptflow":
        template = _PICTURE.sub(r"\n{{ \1 }}\n", template)
        template = _without_trimmed_ends(template)
    if prompt.model.get("api") == "completion":
        return f"user:\n{_literal(template, _ANY_MARKER)}"
    template = _edges(_literal(template, _NEW_MARKER))
    if prompt.dialect == "promptflow":
        template = _filled(template)
    _tell(prompt, template, notes)
    return template


def pictures(prompt: Prompt) -> frozenset[str]:
    """The inputs that stand in the template as `![image]({{name}})`."""
    return frozenset(_PICTURE.findall(prompt.template)) if prompt.dialect == "promptflow" else frozenset()


def _tell(prompt: Prompt, template: str, notes: list[str]) -> None:
    roles = {found[1].lower() for found in _LOST_ROLE.finditer(template)}
    if prompt.dialect == "prompty-v1":
        roles -= {"tool"}
    if roles:
        notes.append(
            f"prompty 2 has no role {' or '.join(sorted(roles))}: those lines are text there; pass such turns as an "
            "input of the kind thread"
        )
    headings = {found[1].strip("# \t") for found in _HEADING.finditer(template)}
    if headings and prompt.dialect == "promptflow":
        notes.append(
            f"prompty 2 does not read the headings {', '.join(sorted(headings))} inside a message: they are text "
            "there; pass such turns as an input of the kind thread"
        )
    if prompt.dialect == "prompty-v1" and _WRITTEN_PICTURE.search(template):
        notes.append(
            "prompty 2 takes pictures written as ![alt](path) for text: declare an input of the kind image for each"
        )


@lru_cache(maxsize=1)
def _trimming() -> Environment:
    from jinja2 import Environment

    # It only cuts templates into tokens, and renders nothing.
    return Environment(trim_blocks=True, keep_trailing_newline=True)  # noqa: S701


def _without_trimmed_ends(template: str) -> str:
    """What renders the same without `trim_blocks`, by which the line end after a tag is dropped.

    Where text follows on the next line, `-%}` drops just that line end; where a blank line or an indented one follows,
    it would drop more, and so the line end is taken out of the template.
    """
    from jinja2 import TemplateError

    made: list[str] = []
    position = 0
    try:
        for _, token, value in _trimming().lexer.tokeniter(template, None):
            begin = template.index(value, position)
            made.append(template[position:begin])
            position = begin + len(value)
            # The rest of these tokens are `-%}` with all white space, and `+%}`, which keep their meaning.
            is_trimmed = token in ("block_end", "comment_end", "raw_end") and value[-3:] in ("%}\n", "#}\n")
            if not is_trimmed or value.lstrip("-+ ").startswith("-") or _has_sign(value):
                made.append(value)
                continue
            follows = template[position : position + 1]
            made.append(value[:-1] if not follows or follows.isspace() else f"{value[:-3]}-{value[-3:]}")
    except (TemplateError, ValueError):
        # It does not parse, which is told where it is rendered.
        return template
    return "".join(made) + template[position:]


def _has_sign(value: str) -> bool:
    return value.rstrip("\n")[-3:-2] in ("-", "+")


def _literal(template: str, markers: re.Pattern[str]) -> str:
    """Lines that would be taken for markers, as values, which never are."""
    return markers.sub(lambda found: f"{found[1]}{{{{ {found[2]!r} }}}}{found[3]}", template)


def _edges(template: str) -> str:
    """Without the white space at the beginning and end of a message, which prompty 2 leaves there but for line ends."""
    lines = template.split("\n")
    marked = [index for index, line in enumerate(lines) if _MARKER.match(line)]
    for index in marked:
        _strip(lines, range(index + 1, len(lines)), is_left=True)
        _strip(lines, range(index - 1, -1, -1), is_left=False)
    _strip(lines, range(len(lines)), is_left=True)
    _strip(lines, range(len(lines) - 1, -1, -1), is_left=False)
    return "\n".join(lines)


def _filled(template: str) -> str:
    """With something, though it renders as nothing, in each message that has no line: prompty 2 would leave it out."""
    lines = template.split("\n")
    made: list[str] = []
    for index, line in enumerate(lines):
        made.append(line)
        if _MARKER.match(line):
            following = [part for part in lines[index + 1 :] if part.strip()]
            if not following or _MARKER.match(following[0]):
                made.append('{{ "" }}')
    return "\n".join(made)


def _strip(lines: list[str], order: range, *, is_left: bool) -> None:
    for index in order:
        line = lines[index]
        if _MARKER.match(line):
            return
        lines[index] = line.lstrip(" \t") if is_left else line.rstrip(" \t")
        if lines[index]:
            return
