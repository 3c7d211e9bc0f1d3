"""What the key `template` says: how a template is written, and how what it renders to is cut into messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from surefoot import scope
from surefoot.errors import PromptError
from surefoot.prompts.definition import Dialect, TemplateKind
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.prompts.yamltext import Document

_log = scope.logger("surefoot.prompts")

_KINDS = ("jinja2", "mustache")
_PARSERS = ("prompty", "prompty.chat")


@dataclass(frozen=True, slots=True)
class Format:
    """How a template is written. `is_strict`: only the markers that it has itself are roles."""

    kind: TemplateKind = "jinja2"
    is_strict: bool = False


def declared(document: Document, template: Json, dialect: Dialect) -> Format:
    """What `template` says in any of its forms.

    These are `jinja2`, `{type: jinja2, parser: prompty}` of the first version and
    `{format: {kind: jinja2, strict: true}, parser: {kind: prompty}}` of the second.

    Raises:
        PromptError: the kind or the parser is none that can be honoured.
    """
    if template is None:
        return Format()
    where = document.place("template")
    if isinstance(template, str) and dialect == "prompty-v2":
        # prompty 2.x refuses it, though its description allows it: nobody relies on it, and a typing slip is seen.
        raise PromptError(
            f"{where}: Invalid template format: {template!r}; prompty 2.x takes keys there: write "
            f"`template: {{format: {{kind: {template}}}, parser: {{kind: prompty}}}}`"
        )
    if not isinstance(template, str | dict):
        raise PromptError(
            f"{where}: Invalid template format: expected a kind such as jinja2; write "
            "`template: {format: {kind: jinja2}}`"
        )
    given, parser, is_strict = _told(template)
    if parser not in (None, *_PARSERS):
        raise PromptError(
            f"{where}: templates with the parser `{parser}` are not supported; use the parser prompty"
        )
    if given == "nunjucks":
        _log.warning(
            "%s: templates of the kind nunjucks are rendered as jinja2, which differs in details", where
        )
        given = "jinja2"
    if dialect == "promptflow" and given != "jinja2":
        _log.warning(
            "%s: promptflow renders every template as jinja2, and so it is here, not as %s", where, given
        )
        given = "jinja2"
    if given not in _KINDS:
        raise PromptError(
            f"{where}: templates of the kind `{given}` are not supported; use one of {', '.join(_KINDS)}"
        )
    return Format(cast("TemplateKind", given), is_strict)


def _told(template: str | dict[str, Json]) -> tuple[Json, Json, bool]:
    """Kind, parser and strictness as they are named."""
    if isinstance(template, str):
        return template, None, False
    written = template.get("format", template.get("type", "jinja2"))
    is_strict = isinstance(written, dict) and written.get("strict") is True
    return _kind(written), _kind(template.get("parser")), is_strict


def _kind(value: Json) -> Json:
    return value.get("kind", "jinja2") if isinstance(value, dict) else value
