"""Tokens of an identity provider: only those that it signed for this server, with a key and algorithm of its own."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from surefoot import App
from surefoot.access import LOCAL, Claims, Principal, Provider, TokenRefused
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
    roles = ["support", "no name!", 7, True, None, ["x"], "ops"]
    given = token(email="ann@acme.example", email_verified=True, org="acme", roles=roles)
    assert asked.principal(given) == Principal(
        "user:ann@acme.example", "acme", ("group:support", "group:ops")
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
        pytest.param(lambda: token(sub="local"), id="the owner's name"),
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


@pytest.mark.parametrize("org", [None, "", "-", "a/b", "*", 7, ["acme"], {"a": 1}, "acme\n"])
def test_nobody_is_of_an_organisation_that_his_provider_does_not_name(world: World, org: Any) -> None:
    """Least of all of the one without a name, as its people may look after the installation."""
    with pytest.raises(TokenRefused, match="names no organisation"):
        provider(world, claims=Claims(organisation="org")).principal(token(org=org))


@pytest.mark.parametrize("said", [{}, {"email_verified": False}, {"email_verified": "false"}])
def test_an_address_is_no_name_until_it_is_verified(world: World, said: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused, match="email_verified"):
        provider(world, claims=Claims("email")).principal(token(email="boss@acme.example", **said))


@pytest.mark.parametrize("sub", [7, True, 1.5])
def test_a_name_is_a_text(world: World, sub: Any) -> None:
    with pytest.raises(TokenRefused):
        provider(world, claims=Claims("uid")).principal(token(uid=sub))


def test_a_key_without_an_algorithm_is_for_those_that_are_taken(world: World) -> None:
    """RFC 7517 lets a key say nothing; one that says what it is for is for nothing else."""
    taken = ("RS512", "PS256")
    for algorithm in taken:
        assert provider(world, algorithms=taken).principal(token(algorithm=algorithm)).who == "user:ann"
    with pytest.raises(TokenRefused, match="signed by 'RS256'"):
        provider(world, algorithms=taken).principal(token())
    bound = World(jwk(RSA, "a", alg="PS256"))
    assert provider(bound, algorithms=taken).principal(token(algorithm="PS256")).who == "user:ann"
    with pytest.raises(TokenRefused, match="its key is for PS256"):
        provider(bound, algorithms=taken).principal(token(algorithm="RS512"))
    with pytest.raises(TokenRefused):
        provider(world).principal(token(EC, kid="a", algorithm="ES256"))


def test_a_provider_that_is_away_is_not_asked_for_each_made_up_key(world: World) -> None:
    asked = provider(world, jwks_url=f"{ISSUER}/keys")
    asked.principal(token())
    world.is_down, world.now = True, 61.0
    for n in range(50):
        with pytest.raises(WorldError):
            asked.principal(token(OTHER, kid=f"made up {n}"))
    assert len(world.asked) == 2
    empty = provider(world, jwks_url=f"{ISSUER}/keys")
    for n in range(50):
        with pytest.raises(WorldError, match="it is down"):
            empty.principal(token(kid=f"made up {n}"))
    assert len(world.asked) == 3
    world.is_down, world.now = False, 72.0
    assert empty.principal(token()).who == "user:ann"


def test_while_keys_are_asked_for_those_who_have_one_are_let_in(world: World) -> None:
    """A provider that answers slowly keeps nobody waiting whose key is known, and one look is made, not one each."""
    asking, answers = Event(), Event()

    def slow(url: str, most: int) -> bytes:
        if world.now:
            asking.set()
            assert answers.wait(60)
        return world.fetch(url, most)

    asked = Provider(ISSUER, AUDIENCE, fetch=slow, jwks_url=f"{ISSUER}/keys", clock=lambda: world.now)
    asked.principal(token())
    world.now = 4000.0
    looking = Thread(target=lambda: asked.principal(token()))
    looking.start()
    assert asking.wait(60)
    assert asked.principal(token()).who == "user:ann"
    with pytest.raises(WorldError, match="being asked for its keys"):
        asked.principal(token(kid="made up"))
    answers.set()
    looking.join()
    assert len(world.asked) == 2


def test_a_key_that_is_a_secret_or_for_secrecy_verifies_nothing() -> None:
    shared = {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "s", "alg": "HS256"}
    odd: dict[str, Any] = {**jwk(RSA, "o"), "alg": ["RS256"]}
    world = World(shared, jwk(RSA, "e", use="enc"), {"kty": "XX", "kid": "x"}, odd, jwk(RSA, "a"))
    for kid in ("s", "e", "x", "o"):
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
    # Whom an organisation has recorded it does not have by that what another one's people send.
    app.access.people.add("user:ann", by=LOCAL, organisation="umbrella")
    assert app.access.identity.of(token()) == (Principal("user:ann", "acme"), None)
    naming = App(load(tmp_path, environ={**environ, "SUREFOOT_OIDC_ORGANISATION_CLAIM": "org"}))
    assert naming.access.identity.of(token(org="acme")) is None
    assert naming.access.identity.of(token(org="umbrella")) == (Principal("user:ann", "umbrella"), None)
    naming.close()
    away = App(load(tmp_path, environ={**environ, "SUREFOOT_OIDC_JWKS_URL": f"{served}/nothing"}))
    with pytest.raises(WorldError, match="it answered with status 404"):
        away.access.identity.of(token())
    none = App(load(tmp_path, environ={}))
    assert none.access.identity.of(token()) is None
    for one in (app, away, none):
        one.close()
