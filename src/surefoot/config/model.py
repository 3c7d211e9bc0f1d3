"""The sections of the settings, with their types, defaults and meanings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from surefoot.config.secret import Secret

Provider: TypeAlias = Literal["openai", "anthropic", "openai-compatible"]

# Strict everywhere: `retries = "2"` is a mistake. Only a path comes as text.
Location = Annotated[Path, Field(strict=False)]


class Section(BaseModel):
    """What all sections share: frozen, strict, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LedgerSettings(Section):
    """The record of every run."""

    path: Location = Field(default=Path(".surefoot/ledger.db"), description="The SQLite file of the ledger.")
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="`full`: an outcome survives a power cut. `normal`: it survives a crash of the process, "
        "and commits are faster.",
    )
    inline_bytes: int = Field(
        default=4096,
        ge=0,
        description="Payloads up to this many bytes stand in their row, larger ones apart from it.",
    )


class PromptSettings(Section):
    """The library of prompts."""

    path: Location = Field(default=Path("prompts"), description="The folder that holds the prompt files.")


class ModelSettings(Section):
    """What answers messages, and how calls to it are bounded."""

    aliases: Mapping[str, str] = Field(
        default={
            "gpt-4o": "local:smollm2",
            "gpt-4o-mini": "local:smollm2",
            "claude-sonnet-5": "local:smollm2",
        },
        description="Models that stand in for others, where the named provider has no credential. "
        "A table given here takes the place of the default one.",
    )
    retries: int = Field(default=2, ge=0, le=100, description="How often a failed call is tried again.")


class Connection(Section):
    """A named endpoint with its credential by reference."""

    provider: Provider = Field(description="Whose endpoint it is.")
    base_url: str | None = Field(
        default=None, pattern=r"^https?://", description="Its address; needed for `openai-compatible` only."
    )
    api_key: Secret | None = Field(default=None, description="Its credential, by reference.")

    @model_validator(mode="after")
    def _has_address(self) -> Connection:
        if self.provider == "openai-compatible" and self.base_url is None:
            raise ValueError('provider "openai-compatible" needs a base_url')
        return self


class LocalSettings(Section):
    """The embedded model."""

    threads: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Threads it computes with; more than one spins if others compute.",
    )
    context: int = Field(default=4096, ge=256, description="Tokens that prompt and answer may have together.")


class RetrievalSettings(Section):
    """Collections of documents."""

    path: Location = Field(
        default=Path(".surefoot/collections"), description="The folder that holds the collections."
    )
    embedder: str = Field(default="local:minilm", min_length=1, description="What turns text into vectors.")


class PrivacySettings(Section):
    """What is sealed, and with which key."""

    key_file: Location = Field(
        default=Path(".surefoot/key"),
        description="The file of the key that seals payloads, made on first use. The environment variable "
        "`SUREFOOT_KEY` goes before it.",
    )


class RunSettings(Section):
    """How runs are held."""

    lease: float = Field(
        default=30.0,
        gt=0,
        description="Seconds after which another process may take over a run whose owner is silent.",
    )


class NotebookSettings(Section):
    """Runs in a notebook."""

    progress: bool = Field(
        default=True,
        description="Whether a cell shows the progress of its runs, and a card of each at its end.",
    )


class Config(Section):
    """All settings. The defaults are complete: no file is needed."""

    ledger: LedgerSettings = LedgerSettings()
    prompts: PromptSettings = PromptSettings()
    models: ModelSettings = ModelSettings()
    connections: Mapping[str, Connection] = {}
    local: LocalSettings = LocalSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    privacy: PrivacySettings = PrivacySettings()
    runs: RunSettings = RunSettings()
    notebook: NotebookSettings = NotebookSettings()
