"""Who may post: only a page that this server gave, to the browser that it gave it to."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TOKEN = "token"  # noqa: S105  (the name of a field)
LARGEST = 4_000_000
"""Bytes of a form."""
_MOST_FIELDS = 20
_TYPE = "application/x-www-form-urlencoded"
_DIGITS = 32
_SCOPE = "surefoot.form_session"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser, as its cookie names it. `is_new` where it had none; `login` is the one that is in force in it."""

    id: str
    is_new: bool
    login: str = ""


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie that no script reads and no page of another site has sent along."""

    name: str
    path: str
    is_secure: bool

    def give(self, response: Response, value: str) -> None:
        response.set_cookie(
            *(self.name, value),
            path=self.path,
            secure=self.is_secure,
            httponly=True,
            samesite="strict",
        )

    def take(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(
            self.name, path=self.path, secure=self.is_secure, httponly=True, samesite="strict"
        )


class Posting:
    """Sessions, the tokens of their forms, and forms that carry them.

    A page on another site can make a browser post here. It is told apart three times: the browser names the page's
    origin, keeps a cookie with `SameSite=Strict` to itself, and the form lacks the token, which nobody can make who
    does not know the secret of this process. Another server on this machine sees the cookie, as cookies know no ports,
    and still has no token.
    """

    stale = "This page is from before the server was started"
    """What is wrong with a form whose token is another one's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._secret = secrets.token_bytes(32)

    def cookie(self, request: Request) -> Cookie:
        """The cookie of a request's browser."""
        # One for each port: two servers on one machine would take it from each other.
        return Cookie(f"surefoot-{request.url.port or 80}", self._path, is_secure=False)

    def origins(self, request: Request) -> frozenset[str]:
        """The origins that a page of this server has."""
        return frozenset((f"{request.url.scheme}://{request.headers.get('host', '')}".lower(),))

    def session(self, request: Request) -> Session:
        """The session that a request belongs to, a new one where it names none."""
        known = request.scope.get(_SCOPE)
        if not isinstance(known, Session):
            known = request.scope[_SCOPE] = self._session(request)
        return known

    def _session(self, request: Request) -> Session:
        given = request.cookies.get(self.cookie(request).name, "")
        is_whole = len(given) == _DIGITS and given.isascii() and given.isalnum()
        return Session(given if is_whole else secrets.token_hex(_DIGITS // 2), is_new=not is_whole)

    def token(self, session: Session) -> str:
        """What the forms of a session have to carry."""
        return hmac.new(self._secret, f"{session.id}.{session.login}".encode(), sha256).hexdigest()

    def keep(self, response: Response, request: Request, session: Session) -> None:
        """Give a new session its cookie; and let the browser name the origin of the page when it posts."""
        # Under `no-referrer` it would call the origin of a form null.
        response.headers["referrer-policy"] = "same-origin"
        if session.is_new:
            self.cookie(request).give(response, session.id)

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a form that was posted from a page of this session.

        Raises `HTTPException`: 403 for a foreign one, 413, 415 and 400 for one that is no such form.
        """
        if request.headers.get("origin", "").lower() not in self.origins(request):
            raise HTTPException(403, "This form was not sent from a page of this server.")
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise HTTPException(403, "This form was not sent from a page of this server.")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
            raise HTTPException(415, f"A form is sent as {_TYPE}.")
        fields = _fields(await _body(request))
        session = self.session(request)
        given = fields.get(TOKEN, "")
        if session.is_new or not hmac.compare_digest(given.encode(), self.token(session).encode()):
            raise HTTPException(403, f"{self.stale}: load it again, then send the form.")
        return fields


async def _body(request: Request) -> bytes:
    told = request.headers.get("content-length", "0")
    if told.isascii() and told.isdigit() and int(told[:20]) > LARGEST:
        raise HTTPException(413, f"A form has at most {LARGEST:,} bytes.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, f"A form has at most {LARGEST:,} bytes.")
    return bytes(body)


def _fields(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise HTTPException(400, "This is no form of these pages.") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise HTTPException(400, "This is no form of these pages.")
    return fields
