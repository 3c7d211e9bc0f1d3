"""A secret by reference: where it is kept, never what it is; and text in which such references stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from surefoot.errors import ConfigError
from surefoot.locks import ForkSafeLock

_REFERENCE = re.compile(r"\$\{(env|file):([^{}\n]+)\}")


class Vault:
    """The environment that secrets are read from, and the values read so far, for redaction."""

    def __init__(self, environ: Mapping[str, str], root: Path) -> None:
        self.environ = environ
        self.root = root
        self.variables: set[str] = set()
        """The environment variables that settings refer to: their values are secrets before they are read."""
        self.files: set[Path] = set()
        """The files that they refer to."""
        self._lock = ForkSafeLock()
        self._resolved: frozenset[str] = frozenset()
        self._is_read = False

    def note(self, value: str) -> None:
        """Remember a secret that was read."""
        with self._lock:
            self._resolved |= {value}

    def resolved(self) -> frozenset[str]:
        """The secrets that were read so far: the same set until there is one more."""
        return self._resolved

    def known(self) -> frozenset[str]:
        """`resolved`, and all other secrets that settings refer to, as far as they can be read, which is done once.

        What nobody has used yet may stand in what a former process recorded, or in what a flow reads by itself.
        """
        if not self._is_read:
            found = {value for name in self.variables if (value := self.environ.get(name))}
            for file in self.files:
                with suppress(OSError, UnicodeDecodeError):
                    found.add(file.read_text(encoding="utf-8").strip())
            with self._lock:
                self._is_read = True
                self._resolved |= found - {""}
        return self._resolved


class Secret:
    """A reference to a secret, `${env:NAME}` or `${file:/run/secrets/name}`. It prints as that."""

    __slots__ = ("_kind", "_place", "_setting", "_vault")

    def __init__(self, reference: str, *, setting: str, vault: Vault) -> None:
        """Raises `ValueError` if `reference` is not a reference; the message does not repeat it."""
        found = _REFERENCE.fullmatch(reference.strip())
        if found is None:
            raise ValueError(
                "a secret is given by reference only: write ${env:NAME} or ${file:/run/secrets/name} "
                "and keep the value itself out of the settings"
            )
        self._kind: Literal["env", "file"] = "env" if found[1] == "env" else "file"
        self._place = found[2].strip()
        self._setting = setting
        self._vault = vault
        if self._kind == "env":
            vault.variables.add(self._place)
        else:
            vault.files.add(self._file())

    @property
    def reference(self) -> str:
        """Where the secret is kept."""
        return f"${{{self._kind}:{self._place}}}"

    def is_set(self) -> bool:
        """Whether the variable has a value, or the file exists."""
        if self._kind == "env":
            return bool(self._vault.environ.get(self._place))
        return self._file().is_file()

    def resolve(self) -> str:
        """The secret itself.

        Raises:
            ConfigError: the variable is not set or the file cannot be read; it names them and the setting.
        """
        value = self._from_variable() if self._kind == "env" else self._from_file()
        self._vault.note(value)
        return value

    def _from_variable(self) -> str:
        value = self._vault.environ.get(self._place)
        if value:
            return value
        state = "not set" if value is None else "empty"
        raise ConfigError(
            f"{self._setting} refers to the environment variable {self._place}, which is {state}; "
            f"set it (export {self._place}=...) or remove the setting"
        )

    def _from_file(self) -> str:
        path = self._file()
        try:
            value = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ConfigError(
                f"{self._setting} refers to the file {path}, which cannot be read: {reason}; "
                "put the secret there or change the setting"
            ) from None
        if not value:
            raise ConfigError(
                f"{self._setting} refers to the file {path}, which is empty; put the secret there"
            )
        return value

    def _file(self) -> Path:
        return self._vault.root / Path(self._place).expanduser()

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __str__(self) -> str:
        return self.reference

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        """It does not change; a copy of what it hangs on would be one of the environment."""
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is not pickled, as the environment would be: hand on the name of its setting"
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls, serialization=core_schema.to_string_ser_schema())


class SecretText:
    """A text in which secrets stand by reference, as in `Bearer ${env:TOKEN}`. It prints as that."""

    __slots__ = ("_parts", "_text")

    def __init__(self, text: str, *, setting: str, vault: Vault) -> None:
        """Raises `ValueError` for a text with a malformed reference."""
        parts: list[str | Secret] = []
        end = 0
        for found in _REFERENCE.finditer(text):
            parts += (text[end : found.start()], Secret(found[0], setting=setting, vault=vault))
            end = found.end()
        parts.append(text[end:])
        if any(isinstance(part, str) and "${" in part for part in parts):
            raise ValueError("a reference is written as ${env:NAME} or ${file:/run/secrets/name}")
        self._text = text
        self._parts = tuple(parts)

    @property
    def is_secret(self) -> bool:
        """Whether there is any secret in it."""
        return any(isinstance(part, Secret) for part in self._parts)

    @property
    def reference(self) -> str:
        """The text, with references in place of secrets."""
        return self._text

    def is_set(self) -> bool:
        """Whether all of its secrets have a value."""
        return all(part.is_set() for part in self._parts if isinstance(part, Secret))

    def resolve(self) -> str:
        """The text with its secrets. Raises `ConfigError` as they do."""
        return "".join(part if isinstance(part, str) else part.resolve() for part in self._parts)

    def __repr__(self) -> str:
        return f"SecretText({self._text!r})"

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> SecretText:
        return self

    def __deepcopy__(self, memo: object) -> SecretText:
        """It does not change; a copy of what it hangs on would be one of the environment."""
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is not pickled, as the environment would be: hand on the name of its setting"
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls, serialization=core_schema.to_string_ser_schema())
