"""How the judges of a metric are asked: plain data, recorded with each of their runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from surefoot.errors import InvalidInput
from surefoot.models import Call, Fallback

Model: TypeAlias = "str | Call | Fallback | None"
"""What judges: a model reference, a `Call` with settings, or models that stand in for one another."""

Compat = Literal["ragas", "ragas-legacy"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the judges of a metric are asked.

    using: the model; None for the one of `[models] default`.
    compat: compute what ragas 0.4.3 computes from the same answers: `ragas` for `ragas.metrics.collections`,
        `ragas-legacy` for the older metrics.
    votes: how often each verdict is asked for, an odd number: the majority counts, of grades the median.
    prompts: prompts of the library in place of those of the package, by the name of the question.
    embeddings: the model that makes vectors; the embedder of the app if it is empty.
    """

    using: Model = None
    compat: Compat | None = None
    votes: int = 1
    prompts: Mapping[str, str] = field(default_factory=dict[str, str])
    embeddings: str = ""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> object:
        """As an input of a flow it is taken as it is: of what is in a `Call` pydantic can make no type."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)

    def __post_init__(self) -> None:
        """Raises `InvalidInput`."""
        if self.compat not in (None, "ragas", "ragas-legacy"):
            raise InvalidInput(f"compat is {self.compat!r}: give None, 'ragas' or 'ragas-legacy'")
        if self.votes < 1 or self.votes % 2 == 0:
            raise InvalidInput(
                f"votes is {self.votes}: give an odd number, of which there is always a majority"
            )
        if self.compat is not None and self.votes != 1:
            raise InvalidInput("ragas has no votes: leave votes out, or compat")
