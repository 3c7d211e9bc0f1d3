"""How those who ask are met: programs, by bearer tokens, JSON and problem details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import Receive, Scope

from surefoot.server.entry import body as bodies
from surefoot.server.entry import shape
from surefoot.server.entry.caller import REQUEST_ID, Caller
from surefoot.server.entry.refusal import Refusal
from surefoot.server.entry.rule import Rule

if TYPE_CHECKING:
    from surefoot.config.entry import EntrySettings
    from surefoot.server.entry.identification import Identification

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Manner:
    """That of the API. Pages for people are asked for in another one, under the same rules."""

    carried: Mapping[str, str] = SECURITY_HEADERS
    """The headers of each answer that does not set them itself."""
    has_origins = True
    """Whether pages of the sites in `[serve] origins` may ask."""

    def refuse_body(self, method: str, headers: dict[bytes, bytes], settings: EntrySettings) -> None:
        """Raise `Refusal` 413 and 415 by what the headers say of a body."""
        shape.refuse_body(method, headers, settings)

    def caller(self, scope: Scope, rule: Rule, identification: Identification) -> Caller:
        """Who asks. Blocks while the ledger is read. Raises `Refusal`: 401, 429, 503."""
        return identification.caller(scope, key_header=rule.key_header)

    def is_known(self, scope: Scope, rule: Rule, identification: Identification) -> bool:
        """Whether `caller` says it without asking the ledger, so that it needs no thread. Raises `Refusal` 401."""
        return identification.is_at_hand(scope, key_header=rule.key_header)

    async def take(self, scope: Scope, receive: Receive, settings: EntrySettings) -> Receive:
        """Read the body of a request, and look at what it says; how code behind this receives the same body.

        Raises `Refusal`, and `Gone` of `surefoot.server.entry.body`.
        """
        return await bodies.take(scope, receive, settings)

    def answer(self, scope: Scope, refused: Refusal) -> Response:
        """How somebody is told that he is refused."""
        return refused.answer(scope.get(REQUEST_ID, ""))


PROGRAMS = Manner()
