"""A request that is refused, and how that is answered: problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from surefoot.errors import AccessDenied
from surefoot.values import Json

MEDIA_TYPE = "application/problem+json"
KIND = "urn:surefoot:problem:"
_SAID = {
    404: "there is nothing at this address: GET /openapi.json describes what there is",
    405: "this address does not take that method: `allow` names those it takes",
}
"""What people are told where the framework has no more to say than the name of the status."""


class Refusal(HTTPException):
    """Why a request is refused: `kind` for programs, `detail` for people, with what to do next.

    `more` are further members of the answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.kind = kind
        self.more = more or {}

    def answer(self, request_id: str = "") -> Response:
        """The answer as `application/problem+json`."""
        said = {
            "type": f"{KIND}{self.kind}",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": self.detail,
            **({"request_id": request_id} if request_id else {}),
            **self.more,
        }
        return Response(
            orjson.dumps(said), self.status_code, headers=dict(self.headers or {}), media_type=MEDIA_TYPE
        )


def of_denied(denied: AccessDenied) -> Refusal:
    """What somebody is told who may not do something: what he lacks."""
    return Refusal(
        403,
        "denied",
        str(denied),
        more={
            "principal": denied.who,
            "permission": denied.permission,
            "resource": denied.resource,
            "because": denied.because,
        },
    )


def of_http(error: HTTPException) -> Refusal:
    """One that the framework raised, as for a path that does not exist."""
    if isinstance(error, Refusal):
        return error
    phrase = HTTPStatus(error.status_code).phrase
    detail = _SAID.get(error.status_code, error.detail) if error.detail == phrase else error.detail
    return Refusal(error.status_code, phrase.lower().replace(" ", "-"), detail, headers=error.headers)


async def answer_denied(request: Request, error: Exception) -> Response:
    """A handler of Starlette's for `AccessDenied`."""
    return of_denied(cast("AccessDenied", error)).answer(request.scope.get("surefoot.request_id", ""))


async def answer_refused(request: Request, error: Exception) -> Response:
    """A handler of Starlette's for `HTTPException`."""
    return of_http(cast("HTTPException", error)).answer(request.scope.get("surefoot.request_id", ""))
