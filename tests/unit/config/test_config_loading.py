"""Where settings come from, what goes before what, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.config import Loaded, load
from surefoot.errors import ConfigError


def write(folder: Path, text: str, name: str = "surefoot.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def mistake(folder: Path, text: str, **environ: str) -> str:
    write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(folder, environ=environ)
    return str(caught.value)


def origins(loaded: Loaded) -> dict[str, tuple[str, str]]:
    return {setting.key: (setting.value, setting.origin) for setting in loaded.settings()}


def test_everything_works_without_a_file(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={})
    assert loaded.file is None
    assert loaded.root == tmp_path
    assert loaded.config.ledger.path == tmp_path / ".surefoot" / "ledger.db"
    assert loaded.config.prompts.path == tmp_path / "prompts"
    assert loaded.config.models.aliases["gpt-4o"] == "local:smollm2"
    assert {setting.origin for setting in loaded.settings()} == {"default"}


def test_folders_for_prompt_files_are_those_of_the_project(tmp_path: Path) -> None:
    write(tmp_path, '[prompts.files]\nshared = "shared/files"\nelse = "/srv/files"\n')
    inner = tmp_path / "inner"
    inner.mkdir()
    files = load(inner, environ={}).config.prompts.files
    assert files == {"shared": tmp_path / "shared" / "files", "else": Path("/srv/files")}


def test_the_nearest_file_above_is_found(tmp_path: Path) -> None:
    write(tmp_path, "[models]\nretries = 5\n")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    loaded = load(deep, environ={})
    assert loaded.root == tmp_path
    assert loaded.config.models.retries == 5
    assert loaded.state_dir == tmp_path / ".surefoot"


def test_pyproject_counts_only_with_its_table(tmp_path: Path) -> None:
    write(tmp_path, "[runs]\nlease = 7\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    write(inner, '[project]\nname = "x"\n# surefoot is only mentioned\n', "pyproject.toml")
    assert load(inner, environ={}).config.runs.lease == 7
    write(inner, '[project]\nname = "x"\n\n[tool.surefoot.runs]\nlease = 8.5\n', "pyproject.toml")
    loaded = load(inner, environ={})
    assert loaded.config.runs.lease == 8.5
    assert origins(loaded)["runs.lease"] == ("8.5", "pyproject.toml:5")


def test_surefoot_toml_goes_before_pyproject(tmp_path: Path) -> None:
    write(tmp_path, "[tool.surefoot.runs]\nlease = 1\n", "pyproject.toml")
    write(tmp_path, "[runs]\nlease = 2\n")
    assert load(tmp_path, environ={}).config.runs.lease == 2


def test_environment_over_profile_over_file_over_default(tmp_path: Path) -> None:
    write(
        tmp_path,
        "[models]\nretries = 3\n[local]\ncontext = 1024\n[runs]\nlease = 5\n\n"
        "[env.production]\nmodels.retries = 4\nruns.lease = 20\n",
    )
    environ = {"SUREFOOT_ENV": "production", "SUREFOOT_RUNS_LEASE": "30.5"}
    loaded = load(tmp_path, environ=environ)
    assert loaded.profile == "production"
    shown = origins(loaded)
    assert shown["runs.lease"] == ("30.5", "env SUREFOOT_RUNS_LEASE")
    assert shown["models.retries"] == ("4", "surefoot.toml:9")
    assert shown["local.context"] == ("1024", "surefoot.toml:4")
    assert shown["local.threads"] == ("1", "default")
    assert load(tmp_path, environ={}).config.models.retries == 3


def test_a_given_table_of_aliases_takes_the_place_of_the_default(tmp_path: Path) -> None:
    write(tmp_path, '[models.aliases]\nfast = "local:smollm2"\n')
    assert load(tmp_path, environ={}).config.models.aliases == {"fast": "local:smollm2"}
    write(tmp_path, "[models.aliases]\n")
    assert load(tmp_path, environ={}).config.models.aliases == {}


def test_tables_of_layers_are_merged_key_by_key(tmp_path: Path) -> None:
    write(
        tmp_path, '[models.aliases]\na = "local:x"\nb = "local:x"\n[env.p.models.aliases]\nb = "openai:y"\n'
    )
    loaded = load(tmp_path, environ={"SUREFOOT_ENV": "p", "SUREFOOT_MODELS_ALIASES": '{ c = "openai:z" }'})
    assert loaded.config.models.aliases == {"a": "local:x", "b": "openai:y", "c": "openai:z"}


def test_connections_from_file_and_environment(tmp_path: Path) -> None:
    write(
        tmp_path, '[connections.my-azure]\nprovider = "openai-compatible"\nbase_url = "https://a.example"\n'
    )
    environ = {
        "SUREFOOT_CONNECTIONS_MY_AZURE_BASE_URL": "https://b.example",
        "SUREFOOT_CONNECTIONS_OPENAI_PROVIDER": "openai",
        "SUREFOOT_CONNECTIONS_OPENAI_API_KEY": "${env:KEY}",
        "KEY": "sk-1",
    }
    connections = load(tmp_path, environ=environ).config.connections
    assert connections["my-azure"].base_url == "https://b.example"
    key = connections["openai"].api_key
    assert key is not None
    assert key.resolve() == "sk-1"


def test_all_mistakes_are_told_at_once_with_line_and_nearest_key(tmp_path: Path) -> None:
    message = mistake(
        tmp_path,
        "[ledger]\npth = 'x'\nsynchronous = 'ful'\n\n"
        "[models]\nretries = 'two'\n[local]\nthreads = -1\n[modles]\nx = 1\n",
        SUREFOOT_RUNS_LEASE="soon",
        SUREFOOT_RUNS_LEESE="3",
    )
    assert "7 mistakes" in message
    assert str(tmp_path / "surefoot.toml") in message
    assert "surefoot.toml:2: ledger.pth: unknown setting; did you mean ledger.path?" in message
    assert (
        'surefoot.toml:3: ledger.synchronous: expected one of "full", "normal", got the text "ful"' in message
    )
    assert 'surefoot.toml:6: models.retries: expected a whole number, got the text "two"' in message
    threads = "surefoot.toml:8: local.threads: input should be greater than or equal to 1, got the number -1"
    assert threads in message
    assert "surefoot.toml:9: modles: unknown setting; did you mean models?" in message
    assert 'env SUREFOOT_RUNS_LEASE: runs.lease: expected a number, got the text "soon"' in message
    assert "env SUREFOOT_RUNS_LEESE: no such setting; did you mean SUREFOOT_RUNS_LEASE?" in message


def test_a_number_as_text_is_a_mistake_in_a_file(tmp_path: Path) -> None:
    assert 'expected a whole number, got the text "2"' in mistake(tmp_path, '[models]\nretries = "2"\n')


def test_a_value_where_a_table_belongs(tmp_path: Path) -> None:
    assert "surefoot.toml:1: models: expected a table, got the number 3" in mistake(tmp_path, "models = 3\n")
    assert "env.p: expected a table" in mistake(tmp_path, "[env]\np = 1\n")
    assert "expected an inline table" in mistake(tmp_path, "", SUREFOOT_MODELS_ALIASES="nonsense")


def test_a_connection_without_its_needs(tmp_path: Path) -> None:
    assert 'connections.x.provider: it is needed: one of "openai"' in mistake(tmp_path, "[connections.x]\n")
    message = mistake(tmp_path, '[connections.x]\nprovider = "openai-compatible"\n')
    assert 'surefoot.toml:1: connections.x: provider "openai-compatible" needs a base_url' in message


def test_an_unknown_profile(tmp_path: Path) -> None:
    message = mistake(tmp_path, "[env.production.runs]\nlease = 1\n", SUREFOOT_ENV="producton")
    assert "no profile producton (there are: production); did you mean production?" in message


def test_profiles_that_are_not_chosen_are_checked_for_unknown_keys(tmp_path: Path) -> None:
    message = mistake(tmp_path, "[env.production.runs]\nlaese = 1\n")
    assert "surefoot.toml:2: runs.laese: unknown setting; did you mean runs.lease?" in message


@pytest.mark.parametrize(
    ("text", "place"),
    [("[runs]\nlease = = 3\n", ":2:9:"), ("[runs]\nlease =", ":2:8:"), ("a = [1,\n", ":1:")],
)
def test_broken_toml_names_line_and_column(tmp_path: Path, text: str, place: str) -> None:
    message = mistake(tmp_path, text)
    assert f"surefoot.toml{place}" in message
    assert "not valid TOML" in message


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_bytes(b"[runs]\nlease = '\xff'\n")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(tmp_path, environ={})


def test_deep_nesting_is_an_error_not_a_crash(tmp_path: Path) -> None:
    assert "surefoot.toml" in mistake(tmp_path, "a = " + "[" * 100_000)


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_bytes(b"\xef\xbb\xbf[runs]\r\nlease = 4\r\n")
    assert origins(load(tmp_path, environ={}))["runs.lease"] == ("4.0", "surefoot.toml:2")


def test_home_moves_the_state_and_the_paths_within(tmp_path: Path) -> None:
    write(tmp_path, "[ledger]\npath = '.surefoot/other.db'\n[privacy]\nkey_file = 'keys/k'\n")
    loaded = load(tmp_path, environ={"SUREFOOT_HOME": str(tmp_path / "elsewhere")})
    assert loaded.state_dir == tmp_path / "elsewhere"
    assert loaded.config.ledger.path == tmp_path / "elsewhere" / "other.db"
    assert loaded.config.privacy.key_file == tmp_path / "keys" / "k"


def test_the_state_folder_is_made_with_its_own_gitignore(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={})
    assert not loaded.state_dir.exists()
    assert loaded.ensure_state_dir() == loaded.state_dir
    loaded.ensure_state_dir()
    assert (loaded.state_dir / ".gitignore").read_text() == "*\n"
    assert loaded.state_dir.stat().st_mode & 0o077 == 0


def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / ".surefoot").write_text("a file is in the way")
    with pytest.raises(ConfigError, match=r"cannot be made.*SUREFOOT_HOME"):
        load(tmp_path, environ={}).ensure_state_dir()


def test_variables_with_rules_of_their_own_are_no_settings(tmp_path: Path) -> None:
    names = ("SUREFOOT_CACHE", "SUREFOOT_KEY", "SUREFOOT_LOCAL_TOKEN")
    assert load(tmp_path, environ=dict.fromkeys(names, "x")).config == load(tmp_path, environ={}).config


def test_a_variable_of_an_unknown_section_or_without_a_key(tmp_path: Path) -> None:
    assert "env SUREFOOT_LEGDER_PATH: no such setting; did you mean SUREFOOT_LEDGER_PATH?" in mistake(
        tmp_path, "", SUREFOOT_LEGDER_PATH="x"
    )
    assert "env SUREFOOT_CONNECTIONS_X: no such setting" in mistake(tmp_path, "", SUREFOOT_CONNECTIONS_X="x")


def test_values_of_every_kind_are_described_in_a_mistake(tmp_path: Path) -> None:
    message = mistake(
        tmp_path,
        "[models]\nretries = true\n[runs]\nlease = [1]\n[local]\nthreads = {a = 1}\ncontext = 2026-04-20\n",
    )
    for words in ("got true", "got a list", "got a table", "got a date"):
        assert words in message
    assert "got a text of 80 characters" in mistake(tmp_path, f"[models]\nretries = '{'x' * 80}'\n")


def test_env_must_hold_tables(tmp_path: Path) -> None:
    assert "expected tables such as [env.production]" in mistake(tmp_path, "env = 1\n")
