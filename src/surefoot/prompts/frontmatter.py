"""Where the front matter of a `.prompty` file ends and its template begins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from surefoot import scope
from surefoot.errors import PromptError

_log = scope.logger("surefoot.prompts")

_OPENING = re.compile(r"\s*^[ \t]*(?:-{3,}|\+{3,})[ \t]*$", re.MULTILINE)
_CLOSING = re.compile(r"^(?:-{3,}|\+{3,})[ \t]*$", re.MULTILINE)
_LIKE_FRONT_MATTER = re.compile(
    r"^-{3,}[ \t]*\n(?:name|description|model|inputs|sample)[ \t]*:", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Front matter and template of a file, each with the line of the file on which it begins."""

    front: str
    front_line: int
    template: str
    template_line: int


def split(text: str, where: str) -> Parts:
    """Cut a normalised text. A file without front matter is all template.

    The fences are lines of three or more dashes, or plus signs, at the left margin; blank lines may stand before the
    first. The first line of that form after it is the end: one that is indented is part of a text in the YAML, and
    one further down is part of the template. promptflow cuts at the last such line and prompty at any three dashes,
    even within a value; a file that reads differently for that reason is one that they do not load.

    Raises:
        PromptError: the front matter has no end.
    """
    opening = _OPENING.match(text)
    if opening is None:
        found = _LIKE_FRONT_MATTER.search(text)
        if found is not None:
            _log.warning(
                "%s:%d:1: this looks like front matter, but text stands before it, and so it is part of the template; "
                "move it to the first line of the file",
                where,
                text.count("\n", 0, found.start()) + 1,
            )
        return Parts("", 1, text, 1)
    line = text.count("\n", 0, opening.end()) + 1
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        raise PromptError(f"{where}:{line}:1: the front matter has no end; close it with a line `---`")
    front = text[opening.end() + 1 : closing.start()]
    template_line = text.count("\n", 0, closing.end()) + 2
    return Parts(front, line + 1, text[closing.end() + 1 :], template_line)
