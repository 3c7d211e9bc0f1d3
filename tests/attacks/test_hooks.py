"""Attacks by addresses and webhooks: wherever a URL comes from, and however it is spelled, it leads nowhere within."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooked import Answer, Hooked
from surefoot import App, flow, generate, webhooks
from surefoot.addresses import Egress, resolve
from surefoot.config import load
from surefoot.errors import AddressRefused, SignatureRefused, StepFailed
from surefoot.ledger import deliveries as kept
from surefoot.models.fetching import fetch
from surefoot.server.hooks import Courier

SECRET = "0123456789abcdef0123456789abcdef"
WITHIN = [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "http://[::1]:{port}/",
    "https://[::1]:{port}/",
    "https://127.0.0.1:{port}/",
    "https://127.1:{port}/",
    "https://0x7f000001:{port}/",
    "https://0x7f.1:{port}/",
    "https://2130706433:{port}/",
    "https://017700000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0:{port}/",
    "https://[::]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[fd00:ec2::254]/latest/",
    "https://localhost:{port}/",
    "https://LOCALHOST.:{port}/",
    "https://\uff11\uff12\uff17.0.0.1:{port}/",
    "https://127\u30020\u30020\u30021:{port}/",
    "https://10.0.0.1/",
    "https://192.168.0.1/",
    "https://100.100.100.200/",
    "gopher://127.0.0.1:{port}/_GET",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "dict://127.0.0.1:{port}/",
    "https://hooks.example@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@hooks.example/",
    "https://127.0.0.1:{port}#@hooks.example/",
    "https://127.0.0.1:{port}%2f@hooks.example/",
    "https://127.0.0.1%00.hooks.example:{port}/",
]


@flow
def noted(text: str) -> str:
    return text


@flow
async def asked(question: str) -> str:
    return await generate("asked", question=question)


@pytest.fixture
def trap() -> Iterator[Hooked]:
    with Hooked() as trap:
        yield trap


@pytest.mark.parametrize("url", WITHIN)
def test_web_05_no_spelling_leads_within(trap: Hooked, url: str, tmp_path: Path) -> None:
    app = App(load(tmp_path, environ={}))
    with pytest.raises(AddressRefused):
        app.fetch(url.replace("{port}", str(trap.port)))
    app.close()
    assert trap.got == []


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "10.1.2.3", "169.254.169.254", "::ffff:192.168.1.1"])
def test_web_05_a_public_name_of_an_address_within(trap: Hooked, ip: str) -> None:
    # As that of localtest.me.
    with pytest.raises(AddressRefused, match=r"localtest\.example leads to"):
        fetch(f"https://localtest.example:{trap.port}/", rules=Egress(), lookup=lambda host, port: [ip])
    assert trap.got == []


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "//[::1]:{port}/",
        "gopher://x",
    ],
)
def test_web_05_a_redirect_within(trap: Hooked, location: str) -> None:
    trap.answers.append(Answer(302, {"location": location.replace("{port}", str(trap.port))}))
    with pytest.raises(AddressRefused):
        fetch(trap.url("/first"), rules=Egress(("127.0.0.1",)))
    assert [got.path for got in trap.got] == ["/first"]


def test_web_05_a_name_that_leads_elsewhere_a_moment_later(trap: Hooked) -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1"]])
    rules = Egress(("127.0.0.1",))
    pinned = resolve(trap.url(host="hooks.example"), rules, lookup=lambda host, port: next(answers))
    assert pinned.ips == ("127.0.0.1",)
    with pytest.raises(AddressRefused):
        fetch(trap.url(host="hooks.example"), rules=rules, lookup=lambda host, port: next(answers))

    # A request asks once, and so does each redirect: that the name leads within by then is seen.
    again = iter([["127.0.0.1"], ["127.0.0.2"]])
    trap.answers.append(Answer(302, {"location": "/second"}))
    with pytest.raises(AddressRefused):
        fetch(trap.url(host="hooks.example"), rules=rules, lookup=lambda host, port: next(again))
    assert [got.path for got in trap.got] == ["/hook"]


def test_web_05_a_connection_that_a_prompt_file_describes(trap: Hooked, tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()

    def refused(settings: str, address: str) -> str:
        (tmp_path / "surefoot.toml").write_text(f"[egress]\n{settings}\n")
        (tmp_path / "prompts" / "asked.prompty").write_text(
            "---\nname: asked\nmodel:\n  api: chat\n  configuration:\n    type: openai\n    model: m\n"
            f"    base_url: {address}\n    api_key: none\n---\nuser:\n{{{{question}}}}\n"
        )
        app = App(load(tmp_path, environ={}))
        try:
            with pytest.raises(StepFailed) as failed:
                app.run(asked, {"question": "hello"})
        finally:
            app.close()
        assert isinstance(failed.value.__cause__, AddressRefused), failed.value
        return str(failed.value.__cause__)

    for address in ("http://169.254.169.254/v1", "http://[fd00:ec2::254]/v1", "http://0xa9fea9fe/v1"):
        assert "credentials" in refused("", address)
    assert "this machine" in refused('prompts = "public"', f"http://127.0.0.1:{trap.port}/v1")
    assert "this machine" in refused('prompts = "public"', f"http://localhost:{trap.port}/v1")
    assert "none of the hosts" in refused('hosts = ["*.acme.example"]', f"http://127.0.0.1:{trap.port}/v1")
    assert trap.got == []


@pytest.fixture
def told(tmp_path: Path, trap: Hooked) -> Iterator[tuple[App, Courier]]:
    """An app whose webhook leads to the trap, and who tells it."""
    (tmp_path / "surefoot.toml").write_text(
        '[egress]\nallow_private = ["127.0.0.1"]\n'
        f'[webhooks.crm]\nurl = "{trap.url("/${env:HOOK_PATH}")}"\nsecret = "${{env:HOOK_SECRET}}"\noutput = true\n'
    )
    app = App(load(tmp_path, environ={"HOOK_SECRET": SECRET, "HOOK_PATH": "topsecretpath"}))
    courier = Courier(app)
    courier.deliver()
    yield app, courier
    app.close()


def test_web_05_a_webhook_that_redirects_within(told: tuple[App, Courier], trap: Hooked) -> None:
    app, courier = told
    trap.answers.append(Answer(307, {"location": trap.url("/elsewhere")}))
    app.run(noted, {"text": "a"})
    courier.deliver()
    assert [got.path for got in trap.got] == ["/topsecretpath"]
    [row] = app.ledger.ask(kept.deliveries_query(webhook="crm", standing="waiting"))
    assert "redirects are not followed" in kept.delivery_of(row).error


@pytest.mark.attack("web-05")
def test_a_webhook_that_was_kept_is_not_taken_again(told: tuple[App, Courier], trap: Hooked) -> None:
    app, courier = told
    app.run(noted, {"text": "a"})
    app.run(noted, {"text": "b"})
    courier.deliver()
    first, second = trap.got
    now = float(first.headers["surefoot-timestamp"])
    assert webhooks.verify(SECRET, first.headers, first.body, now=now) != webhooks.verify(
        SECRET, second.headers, second.body, now=now
    )
    for headers, body, later in [
        (first.headers, first.body, 301.0),
        (first.headers, second.body, 0.0),
        (first.headers | {"surefoot-id": second.headers["surefoot-id"]}, first.body, 0.0),
        (first.headers | {"surefoot-timestamp": f"{now + 600:.0f}"}, first.body, 600.0),
        (first.headers | {"surefoot-signature": "v1="}, first.body, 0.0),
    ]:
        with pytest.raises(SignatureRefused):
            webhooks.verify(SECRET, headers, body, now=now + later)


def test_nothing_of_a_webhooks_secret_is_kept(
    told: tuple[App, Courier], trap: Hooked, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    app, courier = told
    # The receiver sends back what it was sent, and the flow says what it should not.
    trap.answers += [Answer(500, {"x-echo": SECRET, "retry-after": SECRET}, SECRET.encode()), Answer(410)]
    app.run(noted, {"text": f"it is {SECRET}"})
    app.run(noted, {"text": "topsecretpath"})
    courier.deliver()
    app.close()
    assert len(trap.got) == 2
    assert SECRET.encode() not in b"".join(got.body for got in trap.got)
    written = b"".join(file.read_bytes() for file in (tmp_path / ".surefoot").rglob("*") if file.is_file())
    assert "was not delivered" in caplog.text
    for secret in (SECRET, "topsecretpath"):
        assert secret not in caplog.text
        assert secret.encode() not in written
