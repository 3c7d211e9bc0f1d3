"""Secrets are references: never a literal, never shown, read late, known to redaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.config import Loaded, Secret, load
from surefoot.errors import ConfigError


def connection(folder: Path, key: str) -> str:
    (folder / "surefoot.toml").write_text(f'[connections.o]\nprovider = "openai"\napi_key = {key}\n')
    return key


def secret_of(loaded: Loaded) -> Secret:
    found = loaded.config.connections["o"].api_key
    assert found is not None
    return found


def test_a_literal_is_refused_and_not_repeated(tmp_path: Path) -> None:
    connection(tmp_path, '"sk-live-123456"')
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, environ={})
    message = str(caught.value)
    assert "surefoot.toml:3: connections.o.api_key" in message
    assert "${env:NAME}" in message
    assert "sk-live" not in message


@pytest.mark.parametrize("key", ["17", '"x${env:A}"', '"${env:}"', '"${vault:a}"', '""'])
def test_anything_but_a_whole_reference_is_refused(tmp_path: Path, key: str) -> None:
    connection(tmp_path, key)
    with pytest.raises(ConfigError, match="by reference only"):
        load(tmp_path, environ={})


def test_an_unset_variable_is_told_only_when_it_is_needed(tmp_path: Path) -> None:
    connection(tmp_path, '"${env:O_KEY}"')
    secret = secret_of(load(tmp_path, environ={}))
    assert not secret.is_set()
    with pytest.raises(ConfigError, match=r"connections\.o\.api_key refers to .* O_KEY, which is not set"):
        secret.resolve()
    empty = secret_of(load(tmp_path, environ={"O_KEY": ""}))
    with pytest.raises(ConfigError, match="which is empty"):
        empty.resolve()


def test_the_value_is_never_shown(tmp_path: Path) -> None:
    connection(tmp_path, '"${env:O_KEY}"')
    loaded = load(tmp_path, environ={"O_KEY": "sk-hidden"})
    secret = secret_of(loaded)
    assert secret.resolve() == "sk-hidden"
    everything = [
        repr(loaded),
        str(loaded.config),
        repr(secret),
        str(secret),
        loaded.config.model_dump().__repr__(),
    ]
    everything += [setting.value for setting in loaded.settings()]
    assert "sk-hidden" not in " ".join(everything)
    assert "${env:O_KEY}" in " ".join(everything)


def test_resolved_secrets_are_known_to_redaction(tmp_path: Path) -> None:
    connection(tmp_path, '"${env:O_KEY}"')
    loaded = load(tmp_path, environ={"O_KEY": "sk-hidden"})
    assert loaded.resolved_secrets() == frozenset()
    secret_of(loaded).resolve()
    assert loaded.resolved_secrets() == {"sk-hidden"}


def test_a_secret_in_a_file(tmp_path: Path) -> None:
    place = tmp_path / "secrets" / "o"
    connection(tmp_path, f'"${{file:{place}}}"')
    secret = secret_of(load(tmp_path, environ={}))
    with pytest.raises(ConfigError, match=r"connections\.o\.api_key refers to the file .*cannot be read"):
        secret.resolve()
    assert not secret.is_set()
    place.parent.mkdir()
    place.write_text("\n")
    with pytest.raises(ConfigError, match="which is empty"):
        secret.resolve()
    place.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        secret.resolve()
    place.write_text("sk-file\n")
    assert secret.resolve() == "sk-file"
    assert secret.is_set()


def test_equal_references_are_equal(tmp_path: Path) -> None:
    connection(tmp_path, '"${env:A}"')
    first, second = secret_of(load(tmp_path, environ={})), secret_of(load(tmp_path, environ={"A": "1"}))
    assert first == second
    assert len({first, second}) == 1
