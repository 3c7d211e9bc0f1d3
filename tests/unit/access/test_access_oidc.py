"""Tokens of an identity provider: only those that it signed for this server, with a key and algorithm of its own."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from surefoot import App
from surefoot.access import Claims, Principal, Provider, TokenRefused
from surefoot.config import load
from surefoot.errors import ConfigError, WorldError

ISSUER, AUDIENCE = "https://login.example", "surefoot"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, kid: str, **rest: str) -> dict[str, str]:
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, **rest}


class World:
    """What the provider answers, by address, and what it was asked."""

    def __init__(self, *keys: Mapping[str, str]) -> None:
        self.keys = list(keys)
        self.asked: list[str] = []
        self.now = 0.0
        self.is_down = False

    def fetch(self, url: str, most: int) -> bytes:
        self.asked.append(url)
        if self.is_down:
            raise ConnectionError("it is down")
        if url.endswith("openid-configuration"):
            return json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}).encode()
        return json.dumps({"keys": self.keys}).encode()[:most]


def provider(world: World, **rest: Any) -> Provider:
    return Provider(ISSUER, AUDIENCE, fetch=world.fetch, clock=lambda: world.now, **rest)


def token(
    key: Any = RSA, *, kid: str | None = "a", algorithm: str = "RS256", without: str = "", **claims: Any
) -> str:
    now = time.time()
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": now + 60, "iat": now, **claims}
    said.pop(without, None)
    return jwt.encode(said, key, algorithm, headers={} if kid is None else {"kid": kid})


def _as_secret() -> str:
    """HS256 with the public key for a secret, as a library takes it that lets the token choose."""
    import hashlib
    import hmac

    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [
        {"alg": "HS256", "kid": "a"},
        {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": time.time() + 60},
    ]
    body = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )
    signed = hmac.new(pem, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signed).decode().rstrip('=')}"


def _deep() -> str:
    head = base64.urlsafe_b64encode(b"[" * 6_000).decode()
    return f"{head}.e30.x"


@pytest.fixture
def world() -> World:
    return World(jwk(RSA, "a"), jwk(EC, "b"))


def test_a_token_says_who_somebody_is(world: World) -> None:
    asked = provider(world, claims=Claims("email", "org", "roles"))
    given = token(email="ann@acme.example", org="acme", roles=["support", "no name!", 7, "ops"])
    assert asked.principal(given) == Principal(
        "user:ann@acme.example", "acme", ("group:support", "group:7", "group:ops")
    )
    assert provider(world).principal(token(EC, kid="b", algorithm="ES256")) == Principal("user:ann")
    assert world.asked == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"] * 2


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda: token(OTHER), id="another key under its id"),
        pytest.param(lambda: token(iss="https://evil.example"), id="issuer"),
        pytest.param(lambda: token(aud="another service"), id="audience"),
        pytest.param(lambda: token(aud=["x", "y"]), id="audiences"),
        pytest.param(lambda: token(without="aud"), id="no audience"),
        pytest.param(lambda: token(without="iss"), id="no issuer"),
        pytest.param(lambda: token(without="exp"), id="no end"),
        pytest.param(lambda: token(without="sub"), id="nobody"),
        pytest.param(lambda: token(exp=time.time() - 60), id="expired"),
        pytest.param(lambda: token(nbf=time.time() + 600), id="not yet"),
        pytest.param(lambda: token(kid="c"), id="unknown key"),
        pytest.param(lambda: token(kid=None), id="no key named, and two there"),
        pytest.param(lambda: token(sub="a b"), id="no name"),
        pytest.param(lambda: token(groups="a" * 9 + "\n", sub=["x"]), id="a list for a name"),
        pytest.param(lambda: token(groups={"a": 1}), id="groups that are none"),
        pytest.param(lambda: jwt.encode({"sub": "ann"}, None, "none"), id="no signature"),
        pytest.param(lambda: token()[:-4] + "AAAA", id="signature changed"),
        pytest.param(lambda: token() + "." + token(), id="two"),
        pytest.param(lambda: "a" * 20_000, id="long"),
        pytest.param(lambda: "..", id="nothing"),
        pytest.param(lambda: "\ud800.\x00.x", id="no text"),
        pytest.param(_as_secret, id="public key as secret"),
        pytest.param(_deep, id="deep"),
    ],
)
def test_what_opens_nothing(world: World, bad: Any) -> None:
    with pytest.raises(TokenRefused):
        provider(world).principal(bad())


def test_a_key_that_is_a_secret_or_for_secrecy_verifies_nothing() -> None:
    shared = {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "s", "alg": "HS256"}
    world = World(shared, jwk(RSA, "e", use="enc"), {"kty": "XX", "kid": "x"}, jwk(RSA, "a"))
    for kid in ("s", "e", "x"):
        with pytest.raises(TokenRefused):
            provider(world).principal(token(kid=kid))
    assert provider(world).principal(token()).who == "user:ann"


def test_keys_are_kept_and_an_unknown_one_is_looked_for_once_a_minute(world: World) -> None:
    asked = provider(world, jwks_url=f"{ISSUER}/keys")
    asked.principal(token())
    for _ in range(50):
        with pytest.raises(TokenRefused):
            asked.principal(token(OTHER, kid="new"))
    assert len(world.asked) == 1
    world.keys.append(jwk(OTHER, "new"))
    world.now = 61.0
    assert asked.principal(token(OTHER, kid="new")).who == "user:ann"
    assert len(world.asked) == 2
    # One that the provider has taken back is gone with the next look.
    world.keys.pop()
    world.now = 61.0 + 3601.0
    with pytest.raises(TokenRefused):
        asked.principal(token(OTHER, kid="new"))


def test_while_the_provider_is_away_known_keys_are_good(world: World) -> None:
    asked = provider(world, jwks_url=f"{ISSUER}/keys")
    asked.principal(token())
    world.is_down, world.now = True, 4000.0
    assert asked.principal(token()).who == "user:ann"
    with pytest.raises(WorldError, match=r"cannot be asked at .*/keys: it is down"):
        provider(world, jwks_url=f"{ISSUER}/keys").principal(token())


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"<html>", "gives no JSON"),
        (b"[]", "gives no JSON object"),
        (b'{"issuer": "https://other.example"}', "oidc.issuer has to be the same text"),
        (b'{"issuer": "https://login.example", "jwks_uri": "http://evil.example/k"}', "can be trusted"),
    ],
)
def test_a_provider_that_is_none(said: bytes, problem: str) -> None:
    with pytest.raises(WorldError, match=problem):
        Provider(ISSUER, AUDIENCE, fetch=lambda _url, _most: said).principal(token())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"ISSUER": "http://login.example", "AUDIENCE": "x"}, "an address of https"),
        ({"ISSUER": ISSUER}, "say audience too"),
        ({"ISSUER": ISSUER, "AUDIENCE": "x", "ALGORITHMS": "HS256"}, "'HS256' is none of RS256"),
        ({"ALGORITHMS": "none"}, "'none' is none of RS256"),
    ],
)
def test_settings_that_let_others_in_are_refused(
    tmp_path: Path, settings: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(tmp_path, environ={f"SUREFOOT_OIDC_{name}": value for name, value in settings.items()})


# By the settings, over HTTP


@pytest.fixture
def served() -> Iterator[str]:
    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"keys": [jwk(RSA, "a")]}).encode()
            self.send_response(200 if self.path == "/keys" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_app_knows_people_by_its_provider(tmp_path: Path, served: str) -> None:
    environ = {
        "SUREFOOT_OIDC_ISSUER": ISSUER,
        "SUREFOOT_OIDC_AUDIENCE": AUDIENCE,
        "SUREFOOT_OIDC_JWKS_URL": f"{served}/keys",
        "SUREFOOT_OIDC_ORGANISATION": "acme",
    }
    app = App(load(tmp_path, environ=environ))
    assert app.access.identity.of(token(groups=["ops"])) == (
        Principal("user:ann", "acme", ("group:ops",)),
        None,
    )
    assert app.access.identity.of(token(aud="x")) is None
    assert app.access.identity.of("sft_nothing") is None
    away = App(load(tmp_path, environ={**environ, "SUREFOOT_OIDC_JWKS_URL": f"{served}/nothing"}))
    with pytest.raises(WorldError, match="it answered with status 404"):
        away.access.identity.of(token())
    none = App(load(tmp_path, environ={}))
    assert none.access.identity.of(token()) is None
    for one in (app, away, none):
        one.close()
