"""The reference page and the template are made from the declarations and agree with them."""

from __future__ import annotations

import tomllib
from pathlib import Path

from surefoot.config import Config, load, reference, template

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def test_the_page_in_the_documentation_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "write surefoot.config.reference() to docs/reference/configuration.md"
    )


def test_the_page_names_every_setting() -> None:
    page = reference()
    for setting in load(Path("/"), environ={}).settings():
        section, key = setting.key.split(".")[:2] if "." in setting.key else (setting.key, "")
        assert f"SUREFOOT_{section.upper()}_{key.upper()}" in page


def test_the_template_loads_and_says_what_the_defaults_are(tmp_path: Path) -> None:
    file = tmp_path / "surefoot.toml"
    file.write_text(template(), encoding="utf-8")
    loaded = load(tmp_path, environ={})
    assert loaded.file == file
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "surefoot.toml").write_text("")
    assert loaded.config.models == load(bare, environ={}).config.models
    assert all(len(line) <= 110 for line in template().splitlines())


def test_every_commented_line_of_the_template_is_true(tmp_path: Path) -> None:
    lines = []
    for line in template().splitlines():
        body = line.removeprefix("# ")
        is_setting = (
            line.startswith("# ")
            and (" = " in body or body.startswith("["))
            and " " not in body.split(" = ")[0]
        )
        lines.append(body if is_setting else line)
    text = "\n".join(lines)
    (tmp_path / "surefoot.toml").write_text(text, encoding="utf-8")
    loaded = load(tmp_path, environ={})
    given = tomllib.loads(text)
    for section in ("ledger", "prompts", "models", "local", "retrieval", "privacy", "runs"):
        fields = type(getattr(Config(), section)).model_fields
        assert set(given[section]) == {name for name, info in fields.items() if info.default is not None}
    assert loaded.config.connections["openai"].provider == "openai"
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "surefoot.toml").write_text("")
    default = load(plain, environ={}).config
    assert loaded.config.models == default.models
    assert loaded.config.runs == default.runs
    assert loaded.config.local == default.local
