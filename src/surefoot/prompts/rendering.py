"""A prompt and its inputs to text or messages; whatever goes wrong is told with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import braces, roles
from surefoot.prompts.definition import Prompt
from surefoot.prompts.inputs import fitted
from surefoot.values import Message

if TYPE_CHECKING:
    from surefoot.prompts.templates import Compiled

# What fills these is more than text.
_RICH_TYPES = ("thread", "image", "file", "audio")
_BLANK_EDGES = re.compile(r"\A(?:[ \t]*\n)+|(?:\n[ \t]*)+\Z")


def check(prompt: Prompt) -> None:
    """Parse the template. Raises `PromptError` with the line of the mistake."""
    if prompt.dialect == "short":
        _braced(prompt)
    else:
        _jinja(prompt)


def names(prompt: Prompt) -> tuple[frozenset[str], frozenset[str]]:
    """The names that the template uses, and those that no rendering can do without. Raises `PromptError`."""
    if prompt.dialect == "short":
        every = frozenset(_braced(prompt).names)
        return every, every
    compiled = _jinja(prompt)
    return compiled.used, compiled.needed


def text_of(prompt: Prompt, given: Mapping[str, object]) -> str:
    """The rendered text, role markers as they stand. Raises `InvalidInput` or `PromptError`."""
    return roles.plain(_rendered(prompt, given))


def messages_of(prompt: Prompt, given: Mapping[str, object]) -> list[Message]:
    """The rendered text cut into messages at its role markers. Raises `InvalidInput` or `PromptError`."""
    rendered = _rendered(prompt, given)
    if prompt.dialect == "short" or prompt.model.get("api") == "completion":
        return [Message("user", roles.plain(rendered))]
    try:
        parts = roles.split(rendered)
    except roles.RoleError as error:
        raise InvalidInput(f"prompt {prompt.label} cannot be rendered: {error}") from None
    if prompt.dialect == "prompty-v2":
        return [Message(part.role or "system", _BLANK_EDGES.sub("", part.text)) for part in parts]
    return [Message(_role(prompt, part), part.text.strip()) for part in parts]


def _role(prompt: Prompt, part: roles.Part) -> str:
    if part.role is None:
        raise PromptError(
            f"{prompt.at(1)}: prompt {prompt.label} has text before its first role; "
            "begin it with a line such as `user:`"
        )
    return part.role


def _rendered(prompt: Prompt, given: Mapping[str, object]) -> str:
    rich = [f"{entry.name} ({entry.type})" for entry in prompt.inputs.values() if entry.type in _RICH_TYPES]
    if rich:
        raise PromptError(
            f"{prompt.at(1)}: prompt {prompt.label} takes inputs that are not text: {', '.join(rich)}; "
            "only text, numbers, lists and mappings can be rendered"
        )
    if prompt.dialect == "short":
        parsed = _braced(prompt)
        names = frozenset(parsed.names)
        return parsed.fill(fitted(prompt, given, used=names, needed=names))
    compiled = _jinja(prompt)
    values = fitted(prompt, given, used=compiled.used, needed=compiled.needed)
    return _with_jinja(prompt, compiled, values)


def _braced(prompt: Prompt) -> braces.Braced:
    try:
        return braces.parse(prompt.template)
    except braces.BraceError as error:
        raise PromptError(f"{prompt.at(error.line)}: {error}") from None


def _jinja(prompt: Prompt) -> Compiled:
    from jinja2 import TemplateError

    from surefoot.prompts.templates import compiled, line_of

    try:
        return compiled(roles.stamped(prompt.template), trim_blocks=prompt.dialect == "promptflow")
    except roles.AttributesError as error:
        raise PromptError(f"{prompt.at(error.line)}: {error}") from None
    except TemplateError as error:
        problem = roles.plain(error.message or "it cannot be parsed")
        raise PromptError(f"{prompt.at(line_of(error))}: the template has a mistake: {problem}") from None
    except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        raise PromptError(
            f"{prompt.at(1)}: the template is nested too deeply or has a number too large; make it simpler "
            f"({type(error).__name__})"
        ) from None


def _with_jinja(prompt: Prompt, compiled: Compiled, values: Mapping[str, object]) -> str:
    from jinja2 import UndefinedError

    from surefoot.prompts.templates import line_of

    try:
        return compiled.render(values)
    except UndefinedError as error:
        raise InvalidInput(
            f"{prompt.at(line_of(error))}: prompt {prompt.label} cannot be rendered: {error.message} "
            f"(given: {', '.join(values) or 'nothing'})"
        ) from None
    except RecursionError:
        raise PromptError(
            f"{prompt.at(1)}: the template calls itself without end; give its macro an end"
        ) from None
    # A template can raise whatever its values raise, which is no reason to lose the line.
    except Exception as error:
        problem = str(error) or type(error).__name__
        raise PromptError(
            f"{prompt.at(line_of(error))}: the template cannot be rendered: {problem}"
        ) from error
