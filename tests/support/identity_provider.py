"""An identity provider on a port of this machine: it gives its keys, and signs tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

AUDIENCE = "surefoot"
_KEY = ec.generate_private_key(ec.SECP256R1())


@dataclass
class IdentityProvider:
    """`environ` are the settings of whoever trusts it. While `is_away` it answers 503."""

    url: str
    is_away: bool = False

    @property
    def environ(self) -> dict[str, str]:
        return {
            "SUREFOOT_OIDC_ISSUER": self.url,
            "SUREFOOT_OIDC_AUDIENCE": AUDIENCE,
            "SUREFOOT_OIDC_JWKS_URL": f"{self.url}/keys",
            "SUREFOOT_OIDC_ORGANISATION_CLAIM": "org",
        }

    def token(self, name: str, organisation: str, *groups: str) -> str:
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "exp": time.time() + 600,
            "sub": name,
            "org": organisation,
            "groups": groups,
        }
        return jwt.encode(claims, _KEY, algorithm="ES256", headers={"kid": "a"})


@contextmanager
def identity_provider() -> Iterator[IdentityProvider]:
    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_KEY.public_key()))
            body = json.dumps({"keys": [{**key, "kid": "a"}]}).encode()
            self.send_response(503 if provider.is_away else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    provider = IdentityProvider(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
