"""The settings as loaded: values, their origins, the state folder, and the secrets read so far."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

from surefoot.config.model import Config
from surefoot.config.schema import KeyPath, dotted
from surefoot.config.secret import Secret, SecretText, Vault
from surefoot.config.section import Section
from surefoot.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as `config show` lists it: `value` is text, a secret its reference."""

    key: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with their origins.

    `root` is the folder of the settings file, or the working directory where there is none; all paths in
    `config` are absolute. `profile` is empty if none was chosen.
    """

    config: Config
    root: Path
    file: Path | None
    profile: str
    state_dir: Path
    origins: Mapping[KeyPath, str]
    vault: Vault

    def settings(self) -> list[Setting]:
        """Every setting; its origin is `default`, `surefoot.toml:12` or `env SUREFOOT_RUNS_LEASE`."""
        return [
            Setting(dotted(path), _shown(value), self.origin(path))
            for path, value in _leaves((), self.config)
        ]

    def origin(self, path: KeyPath) -> str:
        """Where the value of a setting comes from."""
        return self.origins.get(path, "default")

    def resolved_secrets(self) -> frozenset[str]:
        """The secrets that were read so far, for redaction; it grows as connections are used."""
        return self.vault.resolved()

    def ensure_state_dir(self) -> Path:
        """Make the state folder with its own `.gitignore`. Raises `ConfigError` if that is not possible."""
        try:
            # Asked first, before every run: making a folder that is there costs a file system ten times as much.
            if not os.path.exists(f"{self.state_dir}/.gitignore"):
                self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                (self.state_dir / ".gitignore").write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"the state folder {self.state_dir} cannot be made: {error.strerror}; "
                "set SUREFOOT_HOME to a folder that can be written"
            ) from error
        return self.state_dir


def _leaves(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, Section):
        for key in type(value).model_fields:
            yield from _leaves((*path, key), getattr(value, key))
    elif isinstance(value, Mapping) and value:
        for key, entry in cast("Mapping[str, object]", value).items():
            yield from _leaves((*path, key), entry)
    else:
        yield path, value


def _shown(value: object) -> str:
    if value is None:
        return "(not set)"
    if isinstance(value, Mapping):
        return "(none)"
    if isinstance(value, Secret | SecretText):
        return value.reference
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)
