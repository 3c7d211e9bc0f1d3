"""The section of the settings for scoring runs of production."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from surefoot.config.section import Dollars, Names, Section


class OnlineSettings(Section):
    """A sample of the runs of production that `surefoot score` scores, each once."""

    flow: str = Field(
        default="",
        description="The flow whose runs are scored: its name in the ledger, or where it is, `FILE.py:NAME`; by "
        "default that of `evaluation`.",
    )
    sample: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="The share of runs that is scored. Which ones is told by the digest of their ids.",
    )
    scorers: Names = Field(
        default=(), description="Scorers by name: `faithfulness`, `max_words:80`, `tone=regex:^Dear`."
    )
    evaluation: str = Field(
        default="",
        description="An evaluation whose scorers, judges and readings are taken too: a folder with an `evaluation.py`, "
        "or `FILE.py:NAME`.",
    )
    reads: Mapping[str, str] = Field(
        default={},
        description='Where what scorers ask for stands in the output: `response = "summary.text"`; see readings.',
    )
    judge_model: str = Field(
        default="", description="The model that judges scorers by name; else `[models] default`."
    )
    max_cost: Dollars | None = Field(
        default=None,
        description="Dollars that judging may cost in a day (UTC). Judgements that are under way then may exceed it.",
    )
    since: str = Field(
        default="last day",
        min_length=1,
        description="Runs that began in a time, `last 7 days`, or from a date on, `2026-11-24`.",
    )

    @model_validator(mode="after")
    def _says_what(self) -> OnlineSettings:
        if not self.flow and not self.evaluation:
            raise ValueError("say whose runs are scored: flow, or evaluation")
        if not self.scorers and not self.evaluation:
            raise ValueError("say what they are scored by: scorers, or evaluation")
        return self
