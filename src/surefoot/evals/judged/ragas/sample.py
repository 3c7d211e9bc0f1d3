"""A sample as ragas has it, and what it refuses of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput

Api = Literal["collections", "legacy"]
Field = Literal["user_input", "response", "reference", "retrieved_contexts", "reference_contexts"]


@dataclass(frozen=True, slots=True)
class RagasSample:
    """The fields of a row by ragas' names; None where the row has none."""

    user_input: str | None = None
    response: str | None = None
    reference: str | None = None
    retrieved_contexts: list[str] | None = None
    reference_contexts: list[str] | None = None
    rubrics: Mapping[str, str] | None = None

    def need(self, *fields: Field) -> None:
        """Raise `InvalidInput` for the first of these fields that is missing or empty."""
        for field in fields:
            if not getattr(self, field):
                raise InvalidInput(f"ragas scores no row without {field}: give the case one")

    def text(self, field: Literal["user_input", "response", "reference"]) -> str:
        """A text that has to be there, though it may be empty. Raises `InvalidInput`."""
        value: str | None = getattr(self, field)
        if value is None:
            raise InvalidInput(f"ragas scores no row without {field}: give the case one")
        return value

    def contexts(self, field: Literal["retrieved_contexts", "reference_contexts"]) -> list[str]:
        """A list that has to be there, though it may be empty. Raises `InvalidInput`."""
        value: list[str] | None = getattr(self, field)
        if value is None:
            raise InvalidInput(f"ragas scores no row without {field}: give the case one")
        return value
