"""Secrets and personal data that are planted in a project, and where anybody could read them."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import sys
import urllib.parse
from collections.abc import Iterator

import pytest

from engines import Place
from surefoot import App, models
from surefoot.config import load

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KEY = "sk-proj-Zx81kPq7mN4vB2cT9yLw3Rf6HgJ5dSaE0"
HOUSE = "house-key+with/signs=17"
PLANTED = {
    "key": KEY,
    "house": HOUSE,
    "mail": "ana.koch@post.example",
    "phone": "+49 171 2345678",
    "iban": "DE89370400440532013000",
    "card": "4111111111111111",
    "ssn": "219-09-9999",
    "tax_id": "86095742719",
    "ip": "93.184.216.34",
}
STORY = " and ".join(PLANTED.values())
# What a model gives away is refused otherwise, and this is about what has been recorded.
SETTINGS = """
[privacy]
pii = true

[guards]
secrets = "flag"

[connections.own]
provider = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = "${env:HOUSE}"
"""


def encodings(value: str) -> Iterator[bytes]:
    """The value in the forms that anybody can read."""
    plain = value.encode()
    yield from (plain, plain.hex().encode(), value[::-1].encode(), value.encode("utf-16-le"))
    once = json.dumps(value)[1:-1]
    for quoted in (
        *(urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value)),
        *(once, json.dumps(once)[1:-1], html.escape(value)),
    ):
        yield quoted.encode()
    for before in range(3):
        text = base64.b64encode(bytes(before) + plain)
        yield text[-(-before * 8 // 6) : (before + len(plain)) * 8 // 6]


def readable_in(contents: dict[str, bytes]) -> list[tuple[str, str]]:
    """What of the planted stands anywhere, and where."""
    assert contents
    return [
        (name, where)
        for where, content in contents.items()
        for name, value in PLANTED.items()
        if any(form in content for form in encodings(value))
    ]


def all_written(place: Place) -> dict[str, bytes]:
    """Each file, each row of the ledger, and what is in compressed blobs."""
    found = {
        str(file): file.read_bytes()
        for file in place.folder.rglob("*")
        if file.is_file() and file.name != "surefoot.toml"
    }
    ledger = Place(place.engine, place.folder / ".surefoot", place.url)
    listed = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if place.engine == "sqlite"
        else "SELECT table_name FROM information_schema.tables WHERE table_schema = 'surefoot'"
    )
    tables = {str(name) for (name,) in ledger.execute(listed)}
    assert {"runs", "outcomes", "inbox", "scores", "experiments", "verdicts", "prompt_texts"} <= tables
    for table in tables:
        found[table] = repr(ledger.execute(f"SELECT * FROM {table}")).encode()
    for digest, data in ledger.execute("SELECT digest, data FROM blobs"):
        found[f"blob {digest}"] = bytes(data)
        with contextlib.suppress(zstd.ZstdError):
            found[f"text of blob {digest}"] = zstd.decompress(bytes(data))
    return found


def opened(place: Place, **given: str) -> App:
    """The project's app, as another process would open it; `given` are variables of its environment."""
    environ = {
        "HOUSE": HOUSE,
        "SUREFOOT_LEDGER_SYNCHRONOUS": "normal",
        "SUREFOOT_RUNS_STRICT": "true",
    } | given
    if place.url:
        environ["SUREFOOT_LEDGER_URL"] = place.url
    app = App(load(place.folder, environ=environ))
    models.policy.provide(lambda: app.policy)
    return app


@pytest.fixture
def app(place: Place) -> Iterator[App]:
    (place.folder / "surefoot.toml").write_text(SETTINGS, encoding="utf-8")
    app = opened(place)
    key = app.config.connections["own"].api_key
    assert key is not None
    # What is resolved is known, as it is of any connection that is used.
    key.resolve()
    try:
        with app.entered():
            yield app
    finally:
        app.close()
