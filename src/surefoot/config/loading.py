"""Loading: environment over profile over file over defaults, with every mistake in one error."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from surefoot.config.model import Config
from surefoot.config.schema import (
    ROOT,
    KeyPath,
    Leaf,
    Table,
    as_table,
    description_of,
    dotted,
    expectation,
    find,
    nearest,
)
from surefoot.config.secret import Secret, SecretText, Vault
from surefoot.config.state import Loaded
from surefoot.config.toml import SettingsFile, find_file
from surefoot.errors import ConfigError

PREFIX = "SUREFOOT_"
# Read by their own rules, not as a setting.
RESERVED = (
    "SUREFOOT_CACHE",
    "SUREFOOT_DEBUG",
    "SUREFOOT_ENV",
    "SUREFOOT_HOME",
    "SUREFOOT_EXPORT_KEY",
    "SUREFOOT_KEY",
    "SUREFOOT_LOCAL_TOKEN",
    "SUREFOOT_PRINCIPAL",
)
STATE = ".surefoot"


def load(start: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The settings that hold in the folder `start` (default: the working directory).

    They come from the nearest `surefoot.toml`, or `pyproject.toml` with `[tool.surefoot]`, in it or above
    it; without one, from defaults that are complete. Secrets are not read here.

    Raises:
        ConfigError: with every mistake in the settings, each with its file and line or its variable.
    """
    folder = (start or Path.cwd()).absolute()
    file = find_file(folder)
    root = folder if file is None else file.path.parent
    home = environ.get("SUREFOOT_HOME")
    state_dir = (root / Path(home).expanduser()) if home else root / STATE
    vault = Vault(environ, root)
    draft = _Draft(vault)
    profile = _read_file(file, environ.get("SUREFOOT_ENV", ""), draft)
    _read_environment(environ, draft)
    config = draft.validated(root, state_dir)
    if draft.mistakes or config is None:
        raise ConfigError(_report(draft.mistakes, root if file is None else file.path))
    return Loaded(config, root, None if file is None else file.path, profile, state_dir, draft.origins, vault)


@dataclass(slots=True)
class _Draft:
    """What the layers have said so far; a later layer overwrites an earlier one key by key."""

    vault: Vault
    values: dict[KeyPath, Any] = field(default_factory=dict[KeyPath, Any])
    origins: dict[KeyPath, str] = field(default_factory=dict[KeyPath, str])
    mistakes: list[str] = field(default_factory=list[str])

    def aside(self) -> _Draft:
        """A draft whose values are not used but whose mistakes count."""
        return _Draft(self.vault, mistakes=self.mistakes)

    def put(self, path: KeyPath, place: Leaf, value: Any, origin: str) -> None:
        if place.type is Secret or (place.type is SecretText and isinstance(value, str)):
            text = value if isinstance(value, str) else ""
            try:
                value = place.type(text, setting=dotted(path), vault=self.vault)
            except ValueError as error:
                self.mistakes.append(f"{origin}: {dotted(path)}: {error}")
                return
        self.values[path] = value
        self.origins[path] = origin

    def put_table(self, path: KeyPath, origin: str) -> None:
        """Note that a table was given, so that an empty one takes the place of a default."""
        self.values.setdefault(path, {})
        self.origins.setdefault(path, origin)

    def walk(
        self, path: KeyPath, table: Table, data: dict[str, Any], origin: Callable[[KeyPath], str]
    ) -> None:
        for key, value in data.items():
            here = (*path, key)
            place = table.child(key)
            if place is None:
                self.mistakes.append(f"{origin(here)}: {_unknown(path, key, table.names())}")
            elif isinstance(place, Leaf):
                self.put(here, place, value, origin(here))
            elif (inner := as_table(value)) is not None:
                self.put_table(here, origin(here))
                self.walk(here, place, inner, origin)
            else:
                self.mistakes.append(
                    f"{origin(here)}: {dotted(here)}: expected a table, got {description_of(value)}"
                )

    def validated(self, root: Path, state_dir: Path) -> Config | None:
        """The settings as a `Config` with absolute paths, or None and more mistakes in the list."""
        nested: dict[str, Any] = {}
        for path, value in sorted(self.values.items(), key=lambda item: len(item[0])):
            spot = nested
            for key in path[:-1]:
                spot = spot.setdefault(key, {})
            spot[path[-1]] = value
        try:
            config = Config.model_validate(nested)
        except ValidationError as error:
            for mistake in error.errors(include_url=False):
                self.mistakes.append(self._in_words(mistake))
            return None
        return _with_absolute_paths(config, root, state_dir)

    def _in_words(self, mistake: Mapping[str, Any]) -> str:
        path = tuple(str(part) for part in mistake["loc"])
        place = find(path)
        what = str(mistake["msg"]).removeprefix("Value error, ")
        if mistake["type"] == "missing":
            what = f"it is needed: {expectation(place)}" if place is not None else "it is needed"
        elif place is not None and _is_wrong_kind(mistake["type"]):
            what = f"expected {expectation(place)}, got {description_of(mistake['input'])}"
        elif isinstance(place, Leaf):
            what = f"{what[:1].lower()}{what[1:]}, got {description_of(mistake['input'])}"
        return f"{self._origin(path)}: {dotted(path)}: {what}"

    def _origin(self, path: KeyPath) -> str:
        around = (self.origins.get(path[:end]) for end in range(len(path), 0, -1))
        return next((origin for origin in around if origin), "default")


def _is_wrong_kind(error_type: str) -> bool:
    return error_type.endswith(("_type", "_parsing", "literal_error", "is_instance_of"))


def _with_absolute_paths(config: Config, root: Path, state_dir: Path) -> Config:
    def absolute(path: Path) -> Path:
        path = path.expanduser()
        if path.parts[:1] == (STATE,):
            return state_dir.joinpath(*path.parts[1:])
        return root / path

    ledger, prompts, retrieval, privacy = config.ledger, config.prompts, config.retrieval, config.privacy
    return config.model_copy(
        update={
            "ledger": ledger.model_copy(update={"path": absolute(ledger.path)}),
            "prompts": prompts.model_copy(
                update={
                    "path": absolute(prompts.path),
                    "files": {name: absolute(path) for name, path in prompts.files.items()},
                }
            ),
            "retrieval": retrieval.model_copy(update={"path": absolute(retrieval.path)}),
            "privacy": privacy.model_copy(update={"key_file": absolute(privacy.key_file)}),
            "evals": config.evals.model_copy(
                update={
                    "datasets": absolute(config.evals.datasets),
                    "ragas": absolute(config.evals.ragas),
                }
            ),
            "access": config.access.model_copy(
                update={"heads": absolute(config.access.heads) if config.access.heads else None}
            ),
            "gates": {
                name: gate.model_copy(update={"file": absolute(gate.file)})
                for name, gate in config.gates.items()
            },
        }
    )


def _read_file(file: SettingsFile | None, profile: str, draft: _Draft) -> str:
    """Add the file and its chosen profile, and check the other profiles; the name of the chosen one."""
    data = {} if file is None else dict(file.data)
    profiles = as_table(data.pop("env", {}))
    if file is not None:
        draft.walk((), ROOT, data, file.origin)
        if profiles is None:
            draft.mistakes.append(f"{file.origin(('env',))}: env: expected tables such as [env.production]")
            return ""
        for name, content in profiles.items():
            _read_profile(file, name, content, draft if name == profile else draft.aside())
    if profile and profile not in (profiles or {}):
        guess = nearest(profile, profiles or {})
        known = ", ".join(sorted(profiles or {})) or "none"
        hint = f"did you mean {guess}?" if guess else f"add a table [env.{profile}] or unset the variable"
        draft.mistakes.append(f"env SUREFOOT_ENV: no profile {profile} (there are: {known}); {hint}")
    return profile


def _read_profile(file: SettingsFile, name: str, content: object, draft: _Draft) -> None:
    def origin(path: KeyPath) -> str:
        return file.origin(("env", name, *path))

    table = as_table(content)
    if table is None:
        draft.mistakes.append(f"{origin(())}: env.{name}: expected a table, got {description_of(content)}")
    else:
        draft.walk((), ROOT, table, origin)


def _read_environment(environ: Mapping[str, str], draft: _Draft) -> None:
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name not in RESERVED):
        origin = f"env {variable}"
        path = _path_of(variable.removeprefix(PREFIX), draft)
        place = None if path is None else find(path)
        if path is None or place is None:
            guess = nearest(variable, _variables())
            hint = f"did you mean {guess.upper()}?" if guess else "see the reference of settings, or unset it"
            draft.mistakes.append(f"{origin}: no such setting; {hint}")
        elif isinstance(place, Leaf):
            _put_variable(variable, environ[variable], path, place, draft)
        else:
            table = _table_from_text(environ[variable])
            if table is None:
                example = '{ "a name" = "a value" }'
                draft.mistakes.append(f"{origin}: {dotted(path)}: expected an inline table such as {example}")
            else:
                draft.put_table(path, origin)
                draft.walk(path, place, table, _always(origin))


def _put_variable(variable: str, text: str, path: KeyPath, place: Leaf, draft: _Draft) -> None:
    origin = f"env {variable}"
    if path[-1] == "url" and _holds_password(text):
        # The variable itself is where this secret is kept.
        secret = (*path[:-1], "secret_url")
        if find(secret) is not None:
            draft.values.pop(path, None)
            draft.put(secret, Leaf(Secret), f"${{env:{variable}}}", origin)
            return
    draft.put(path, place, _from_text(place, text), origin)


def _holds_password(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return False


def _always(origin: str) -> Callable[[KeyPath], str]:
    return lambda _: origin


def _path_of(rest: str, draft: _Draft) -> KeyPath | None:
    """The setting that a variable names: `RUNS_LEASE`, or `CONNECTIONS_<NAME>_<KEY>`."""
    section, _, tail = rest.lower().partition("_")
    table = ROOT.child(section)
    if not isinstance(table, Table) or not tail:
        return None
    if isinstance(table.entry, Table):
        for key in table.entry.names():
            if tail.endswith(f"_{key}"):
                name = tail.removesuffix(f"_{key}")
                return section, _given_name(section, name, draft), key
        return None
    return section, tail


def _given_name(section: str, name: str, draft: _Draft) -> str:
    """The spelling that a file uses for a name whose capitals and hyphens a variable cannot express."""
    given = {path[1] for path in draft.values if path[0] == section and len(path) > 1}
    return next((known for known in sorted(given) if re.sub(r"\W", "_", known.lower()) == name), name)


def _variables() -> list[str]:
    return [
        f"{PREFIX}{section}_{key}".lower()
        for section in ROOT.names()
        for key in _keys_of(ROOT.child(section))
    ] + [name.lower() for name in RESERVED]


def _keys_of(place: Table | Leaf | None) -> Iterator[str]:
    if isinstance(place, Table):
        yield from place.names()


def _from_text(place: Leaf, text: str) -> Any:
    """The text of a variable as the type that the setting has, or the text itself where it does not fit."""
    if place.type == tuple[str, ...]:
        return [part.strip() for part in text.split(",") if part.strip()]
    if place.type not in (bool, int, float):
        return text
    try:
        return TypeAdapter(place.type).validate_python(text.strip())
    except ValidationError:
        return text


def _table_from_text(text: str) -> dict[str, Any] | None:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return None
    return as_table(value)


def _unknown(path: KeyPath, key: str, known: list[str]) -> str:
    guess = nearest(key, known)
    hint = f"did you mean {dotted((*path, guess))}?" if guess else f"known here: {', '.join(known)}"
    return f"{dotted((*path, key))}: unknown setting; {hint}"


def _report(mistakes: list[str], where: Path) -> str:
    if len(mistakes) == 1:
        return f"the settings of {where} have a mistake: {mistakes[0]}"
    lines = "\n".join(f"  {mistake}" for mistake in mistakes)
    return f"the settings of {where} have {len(mistakes)} mistakes:\n{lines}"
