"""Prompts that are made of a template, without a file."""

from __future__ import annotations

from pathlib import Path

from surefoot.prompts import Prompt, Property
from surefoot.prompts.definition import Dialect, TemplateKind


def prompt_of(
    template: str,
    dialect: Dialect = "prompty-v2",
    kind: TemplateKind = "jinja2",
    *,
    is_strict: bool = False,
    inputs: dict[str, Property] | None = None,
    source: Path | None = Path("a.prompty"),
) -> Prompt:
    """A prompt with this template and nothing else that is not given."""
    return Prompt(
        name="p",
        version="",
        digest="d",
        dialect=dialect,
        text="",
        template=template,
        template_kind=kind,
        is_strict=is_strict,
        inputs=inputs or {},
        source=source,
    )
