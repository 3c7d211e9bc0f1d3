"""The form of an answer: what the code asks for, and what its prompt declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_origin

from surefoot.errors import PromptMisfit
from surefoot.models.generating.prompting import Rendered
from surefoot.models.generating.schemas import UNSAID, Wanted, by_names, by_outputs, wanted
from surefoot.values import Json, Message

Form = Literal["value", "turn", "whole"]


def shaped(kind: object, text: Rendered) -> tuple[Wanted | None, Form]:
    """How the answer is asked for, and whether a value of it, the turn, or the provider's whole answer is returned.

    Raises `UsageError` for a kind that has no schema, and `PromptMisfit` for one that has fields which the outputs of
    the prompt have not.
    """
    section = text.section
    declared = _declared(text)
    if kind is UNSAID or kind is dict or get_origin(kind) is dict:
        if kind is not UNSAID and declared is None:
            return wanted(kind), "value"
        return declared, "whole" if section.is_whole and kind is UNSAID else "value"
    if kind is Message:
        return declared, "turn"
    if kind is str:
        # The text of what the prompt asks for, as it came.
        return (None if declared is None else Wanted(declared.spec, str)), "value"
    found = wanted(kind)
    if found is not None and section.schema is not None:
        _refuse_misfit(found, section.schema, kind, section.where)
    return found, "value"


def fields_of(kind: object) -> tuple[str, ...] | None:
    """The names that will be read from an answer of a type that the code names; None where it names none."""
    if kind is UNSAID or kind is Message:
        return None
    found = wanted(kind)
    return None if found is None else found.fields


def _declared(text: Rendered) -> Wanted | None:
    section = text.section
    if section.names is not None:
        return by_names(section.names)
    if section.schema is None:
        return None
    return by_outputs(section.schema, name=section.schema_name, is_strict=section.is_strict)


def _refuse_misfit(found: Wanted, schema: Mapping[str, Json], kind: object, where: str) -> None:
    """Raise `PromptMisfit` where a type needs what the prompt does not declare."""
    declared = schema.get("properties")
    asked = (found.spec.schema or {}).get("properties")
    if not isinstance(declared, dict) or not isinstance(asked, dict):
        return
    missing = sorted(set(asked) - set(declared))
    if missing:
        name = getattr(kind, "__name__", "") or "the schema"
        raise PromptMisfit(
            f"{where}: {name} has {', '.join(missing)}, and the prompt's outputs are {', '.join(declared)}: "
            "declare them in the file, or ask for another type"
        )
