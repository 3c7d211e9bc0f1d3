"""The section of the settings for receivers of traces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from surefoot.config.secret import Secret, SecretText
from surefoot.config.section import Names, Section

Speech = Literal["otlp", "mlflow", "langsmith", "langfuse", "phoenix"]

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET = ("authorization", "api-key", "token", "secret", "cookie")


class TraceSettings(Section):
    """A receiver that the trace of each run is sent to once it has ended, in the background."""

    to: Speech = Field(default="otlp", description="What it is, which tells path, headers and defaults.")
    url: SecretText | None = Field(
        default=None,
        description="Its address, as `http://localhost:4318`; else that of its own variables, as "
        "`OTEL_EXPORTER_OTLP_ENDPOINT`, `MLFLOW_TRACKING_URI`, `PHOENIX_COLLECTOR_ENDPOINT`.",
    )
    project: str = Field(
        default="",
        description="Where traces go in it: MLflow's experiment, the project of LangSmith or of Phoenix.",
    )
    key: Secret | None = Field(
        default=None,
        description="What lets in there, by reference: the API key of LangSmith or Phoenix, the secret key of "
        "Langfuse; else that of its own variables. For MLflow see `[mlflow]`.",
    )
    public_key: str = Field(default="", description="Langfuse's public key; else `LANGFUSE_PUBLIC_KEY`.")
    headers: Mapping[str, SecretText] = Field(
        default={}, description="Further headers; secrets stand in them by reference."
    )
    flows: Names = Field(
        default=("*",), min_length=1, description="Of which flows, by name; `*` stands for any characters."
    )
    tenants: Names = Field(
        default=("*",), min_length=1, description="Of which tenants; `*` stands for any characters."
    )
    sample: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="The share of runs whose traces are sent, told by the digest of their ids; children go with "
        "the run that began them. Runs that did not complete are always sent.",
    )
    slow: float | None = Field(
        default=None, gt=0, description="Seconds from which on a run is always sent, whatever the share."
    )
    join: bool | None = Field(
        default=None,
        description="Whether a run that was asked for with a header `traceparent` is told as a part of that trace; "
        "else it has one of its own, with a link. Left out: for `otlp`, where the others send theirs too. MLflow takes "
        "none.",
    )
    metrics: bool = Field(
        default=False,
        description="Whether metrics of the processes that make runs are sent there, too, each minute; for `otlp`.",
    )
    background: bool = Field(
        default=True,
        description="Whether each process that makes runs sends by itself; else `surefoot traces deliver` does.",
    )

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, SecretText]) -> Mapping[str, SecretText]:
        for name, text in value.items():
            if _HEADER.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no name of a header")
            if any(word in name.lower() for word in _SECRET) and not text.is_secret:
                raise ValueError(
                    f'the header {name} holds a credential: give it by reference, as in "Bearer ${{env:TOKEN}}"'
                )
        return value

    @model_validator(mode="after")
    def _names_what_it_has(self) -> TraceSettings:
        if self.url is not None and not self.url.reference.startswith(("https://", "http://", "${")):
            raise ValueError("url has to be an address such as http://localhost:4318")
        if self.project and self.to in ("otlp", "langfuse"):
            raise ValueError(f"{self.to} knows no project: its credentials or its resource tell that")
        if self.key is not None and self.to in ("otlp", "mlflow"):
            place = "[mlflow]" if self.to == "mlflow" else "headers"
            raise ValueError(f"{self.to} takes no key: give what lets in there in {place}")
        if self.join and self.to == "mlflow":
            raise ValueError(
                "mlflow keeps scores by trace, and runs that share one would lose theirs: leave join out"
            )
        if self.metrics and self.to != "otlp":
            raise ValueError(f'{self.to} takes no metrics: set metrics where `to` is "otlp"')
        if self.public_key and self.to != "langfuse":
            raise ValueError("public_key is Langfuse's alone")
        return self
