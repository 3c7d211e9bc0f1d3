"""Connections and prices in the settings: what they say, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from surefoot import App
from surefoot.config import Config, Connection, Provider, load
from surefoot.errors import ConfigError
from surefoot.models import VENDORS, Price


def loaded(folder: Path, text: str, **environ: str) -> Config:
    (folder / "surefoot.toml").write_text(text, encoding="utf-8")
    return load(folder, environ=environ).config


def mistake(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return str(caught.value)


def one(folder: Path, text: str, **environ: str) -> Connection:
    return loaded(folder, f"[connections.c]\n{text}", **environ).connections["c"]


def test_the_settings_know_the_providers_that_models_are_reached_at() -> None:
    assert get_args(Provider) == (*list(VENDORS)[:-1], "openai-compatible")


def test_secrets_stand_in_headers_by_reference(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    given = one(
        tmp_path,
        'provider = "vllm"\nheaders = { Authorization = "Basic ${env:A}-${file:token}", X-Team = "blue" }\n',
        A="from-env",
    )
    text = given.headers["Authorization"]
    assert text.resolve() == "Basic from-env-from-a-file"
    assert text.is_secret
    assert text.is_set()
    assert "from-" not in repr(given)
    assert given.headers["X-Team"].resolve() == "blue"
    assert not given.headers["X-Team"].is_secret


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('headers = { Authorization = "Bearer sk-literal" }', "by reference"),
        ('headers = { "bad name" = "x" }', "no name of a header"),
        ('headers = { X-A = "${vault:x}" }', "a reference is written as"),
        ('api_key = "${env:A}"\nad_token = "${env:B}"', "shows one credential"),
        ('base_url = "https://user:sk-literal@host/v1"', "an address alone"),
        ('base_url = "https://host/v1?key=sk-literal"', "an address alone"),
    ],
)
def test_what_a_connection_may_not_say(tmp_path: Path, text: str, said: str) -> None:
    message = mistake(tmp_path, f'[connections.c]\nprovider = "openai"\n{text}\n')
    assert said in message
    assert "sk-literal" not in message


def test_prices_are_exact_whichever_way_they_are_written(tmp_path: Path) -> None:
    text = '[prices."openai:gpt-4o"]\ninput = "2.50"\noutput = 10\ncached = 0.1\nrequest = "0.000000001"\n'
    price = loaded(tmp_path, text).prices["openai:gpt-4o"]
    given = (price.input, price.output, price.cached, price.request)
    assert given == (Decimal("2.50"), Decimal(10), Decimal("0.1"), Decimal("0.000000001"))
    app = App(load(tmp_path, environ={}))
    expected = Price(*given[:3], request=given[3]).rates()
    assert app.policy.prices.rates("openai", "gpt-4o") == expected


def test_a_price_from_the_environment_is_of_the_model_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "surefoot.toml").write_text('[prices."openai:gpt-4.1-mini"]\ninput = "1"\n', encoding="utf-8")
    environ = {"SUREFOOT_PRICES_OPENAI_GPT_4_1_MINI_INPUT": "3.5"}
    assert load(tmp_path, environ=environ).config.prices["openai:gpt-4.1-mini"].input == Decimal("3.5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('input = "cheap"', 'is written as "2.50"'),
        ('input = "-1"', "is 0 or more"),
        ('input = "nan"', "is 0 or more"),
        ('input = "0.0000000001"', "nine decimals"),
        ("input = true", "expected an amount of dollars, got true"),
        ('cached = "1"', "needs input, output or request"),
        ('inputs = "1"', "did you mean"),
    ],
)
def test_what_is_no_price(tmp_path: Path, text: str, said: str) -> None:
    assert said in mistake(tmp_path, f'[prices."openai:gpt-4o"]\n{text}\n')


def test_a_target_is_what_the_settings_and_the_environment_say(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key-number-one")
    (tmp_path / "surefoot.toml").write_text(
        '[connections.gpu]\nprovider = "openai-compatible"\nbase_url = "http://gpu:8000/v1"\n'
        'api_key = "${file:key}"\ntimeout = 7\nmodel_of = { fast = "llama" }\n',
        encoding="utf-8",
    )
    settings = load(tmp_path, environ={"GROQ_API_KEY": "key-of-groq"})
    app = App(settings)
    target = app.target("gpu:fast")
    assert (target.base_url, target.timeout, target.priced_as) == ("http://gpu:8000/v1", 7, "llama")
    assert target.headers() == {"authorization": "Bearer key-number-one"}
    (tmp_path / "key").write_text("key-number-two")
    assert target.headers() == {"authorization": "Bearer key-number-two"}
    app.target("groq:llama").headers()
    # What was a secret stays one.
    assert settings.resolved_secrets() == {"key-number-one", "key-number-two", "key-of-groq"}
    assert app.target("gpt-4o").model == "smollm2"
