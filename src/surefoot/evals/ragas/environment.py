"""Where ragas is: an environment of its own, made by `surefoot ragas setup`, and what metrics it has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from surefoot import flows
from surefoot.environment import child_environment
from surefoot.errors import ConfigError
from surefoot.evals.ragas.process import CHILD, environment
from surefoot.values import Json

Api = Literal["collections", "legacy"]

REQUIREMENTS = (
    "ragas==0.4.3",
    # ragas imports what it has no more since 0.4, and leaves its version open.
    "langchain-community<0.4",
    "openai",
    # What metrics without a judge are computed with.
    "rapidfuzz",
    "rouge-score",
    "sacrebleu",
)
"""What is installed."""

SETUP = "surefoot ragas setup"

_METRICS = "metrics.json"
_LAST_LINES = 8
_DESCRIBE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Described:
    """A metric of ragas: which fields of a row it needs, which it takes, its settings, and the models that it asks."""

    needs: tuple[str, ...]
    takes: tuple[str, ...]
    params: tuple[str, ...]
    asks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment with ragas, as it was when it was made."""

    folder: Path
    version: str
    metrics: Mapping[Api, Mapping[str, Described]]

    @property
    def python(self) -> Path:
        return python_of(self.folder)

    @classmethod
    def at(cls, folder: Path) -> Environment:
        """The environment in a folder. Raises `ConfigError` where none was made."""
        found = _opened(folder)
        if found is None:
            raise ConfigError(f"ragas is not set up in {folder}: run `{SETUP}`")
        return found

    def to_json(self) -> dict[str, Json]:
        return {
            "folder": str(self.folder),
            "python": str(self.python),
            "ragas": self.version,
            "requirements": list(REQUIREMENTS),
            "metrics": {
                api: {
                    name: {"needs": list(each.needs), "takes": list(each.takes), "params": list(each.params)}
                    for name, each in found.items()
                }
                for api, found in self.metrics.items()
            },
        }


def folder() -> Path:
    """Where the settings say that the environment is."""
    return flows.host().config.evals.ragas


def python_of(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def set_up(
    folder: Path, *, python: str = "", say: Callable[[str], None] = lambda _: None
) -> tuple[Environment, bool]:
    """Make the environment where it is not yet, and whether it was made.

    python: the interpreter that it is made with; this one by default.
    say: is told what happens, in words.

    Raises `ConfigError` where that cannot be done; what was done is gone on with the next time.
    """
    if (found := _opened(folder)) is not None:
        return found, False
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise ConfigError(f"{folder} holds other things: name an empty folder, or one that is not there yet")
    uv = shutil.which("uv")
    if not python_of(folder).exists():
        say(f"making an environment in {folder}")
        _make(folder, python or sys.executable, uv)
    say(f"installing {', '.join(REQUIREMENTS)} into it; that takes some minutes")
    _install(folder, uv)
    say("looking at its metrics")
    return describe(folder), True


def describe(folder: Path) -> Environment:
    """Ask the ragas that is installed in a folder for its metrics, and note them there. Raises `ConfigError`."""
    command = [str(python_of(folder)), "-I", str(CHILD), "--describe"]
    said = _run(command, "ragas does not import there", env=environment(), seconds=_DESCRIBE_SECONDS)
    found = orjson.loads(said)
    found["requirements"] = list(REQUIREMENTS)
    path = folder / _METRICS
    # Its presence says that all is there, so it comes whole, and last.
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    draft.replace(path)
    return Environment.at(folder)


def _opened(folder: Path) -> Environment | None:
    """What was noted when it was made; None where that is not to be trusted any more."""
    if not python_of(folder).exists():
        return None
    try:
        found = cast("dict[str, Any]", orjson.loads((folder / _METRICS).read_bytes()))
    except (OSError, orjson.JSONDecodeError):
        return None
    if found.get("requirements") != list(REQUIREMENTS):
        return None
    metrics: dict[Api, Mapping[str, Described]] = {
        api: {
            name: Described(*(tuple(each[key]) for key in ("needs", "takes", "params", "asks")))
            for name, each in found[api].items()
        }
        for api in ("collections", "legacy")
    }
    return Environment(folder, str(found["version"]), metrics)


def _make(folder: Path, python: str, uv: str | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    problem = f"no environment can be made with {python}"
    if uv is not None:
        _run([uv, "venv", "--quiet", "--python", python, str(folder)], problem)
        return
    hint = " (on Debian and Ubuntu its package python3-venv may be missing)"
    _run([python, "-m", "venv", str(folder)], problem + hint)


def _install(folder: Path, uv: str | None) -> None:
    python = str(python_of(folder))
    problem = (
        f"{', '.join(REQUIREMENTS)} cannot be installed into {folder}: see that there is a network and that the "
        f"settings of pip are right (PIP_INDEX_URL), then run `{SETUP}` again"
    )
    if uv is not None:
        _run([uv, "pip", "install", "--quiet", "--python", python, *REQUIREMENTS], problem)
        return
    pip = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    _run([*pip, *REQUIREMENTS], problem)


def _run(
    command: Sequence[str],
    problem: str,
    *,
    env: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> bytes:
    """What a command prints. Raises `ConfigError` with the problem and its last words."""
    known = child_environment(is_installer=True) if env is None else dict(env)
    try:
        done = subprocess.run(list(command), capture_output=True, check=False, env=known, timeout=seconds)
    except OSError as error:
        raise ConfigError(f"{problem}: {command[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{problem}: no answer within {seconds:g} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        said = "\n".join(f"  | {line}" for line in lines) or "  | (nothing)"
        raise ConfigError(f"{problem}\n{said}")
    return done.stdout
