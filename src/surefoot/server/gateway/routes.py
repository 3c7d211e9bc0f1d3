"""The routes of the gateway, by the paths that clients of OpenAI and Anthropic ask at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from surefoot.access import Resource, permission
from surefoot.app import App
from surefoot.errors import InvalidInput, UnknownModel
from surefoot.flows import digest_of, fingerprint_of
from surefoot.models import Spoken
from surefoot.server.entry.body import body_of
from surefoot.server.entry.caller import Caller
from surefoot.server.entry.guard import caller_of
from surefoot.server.entry.rule import Rules, rule
from surefoot.server.gateway import flow
from surefoot.server.gateway.answering import Answering, Asked
from surefoot.server.gateway.dialect import dialect_of
from surefoot.server.gateway.offers import Offer, connection_of, offers, target_of
from surefoot.server.gateway.refusals import OVERLOADED, refused
from surefoot.tracecontext import told_by
from surefoot.values import Json

OPERATIONS: Mapping[str, Spoken] = {
    "/v1/chat/completions": "openai.chat",
    "/v1/completions": "openai.completions",
    "/v1/responses": "openai.responses",
    "/v1/embeddings": "openai.embeddings",
    "/v1/messages": "anthropic.messages",
}

_KEY = "x-api-key"
"""Where clients of Anthropic show a token."""

RULES: Rules = {
    **{
        ("POST", path): rule(
            "connection:use", "connections", f"Ask a model ({operation}).", is_told=True, key_header=_KEY
        )
        for path, operation in OPERATIONS.items()
    },
    ("GET", "/v1/models"): rule(
        "connection:use", "connections", "The models that you may ask for.", key_header=_KEY
    ),
    ("GET", "/v1/models/{model:path}"): rule(
        "connection:use", "connections", "One of them.", key_header=_KEY
    ),
}
"""What each route needs: to use some connection; that of the model which the body names is asked for behind it."""

_USE = permission("connection:use")
_KEPT_HEADERS = ("anthropic-version", "anthropic-beta", "openai-beta")
_LONGEST_KEY = 255
_LONGEST_SESSION = 200
_GONE = 499
"""Nobody is there to read it; it stands in logs."""
_SINCE = "1970-01-01T00:00:00Z"

Endpoint = Callable[[Request], Awaitable[Response]]


def gateway_routes(app: App) -> list[Route]:
    """The routes over an app. Who asks is known before: `entry` says so in the scope of each request."""
    spec = flow.gateway.spec
    # The first call is not to wait until hundreds of files are read.
    digest_of(spec.entry)
    # Whoever asks uses the connection himself, by the permission that the door has asked for.
    judge = connection_of(app, app.config.guards.judge) if app.config.guards.judge else None
    besides = () if judge is None else (judge,)
    app.access.confining.vouch(spec.name, fingerprint_of(spec.entry), spec.uses or (), besides=besides)
    gateway = Gateway(app)
    return [
        *(
            Route(path, _told(gateway.asking(operation)), methods=["POST"])
            for path, operation in OPERATIONS.items()
        ),
        Route("/v1/models", _told(gateway.models), methods=["GET"]),
        Route("/v1/models/{model:path}", _told(gateway.model), methods=["GET"]),
    ]


def _told(endpoint: Endpoint) -> Endpoint:
    """The endpoint, whose errors are told in the client's own language."""

    async def ask(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        except Exception as error:  # noqa: BLE001 - each has an answer
            return dialect_of(request.url.path, request.headers).answer(refused(error))

    return ask


class Gateway:
    """The endpoint: who asks what of which model, and how many ask at a time."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._under_way = 0

    def asking(self, operation: Spoken) -> Endpoint:
        """The endpoint of an operation."""

        async def ask(request: Request) -> Response:
            dialect = dialect_of(request.url.path, request.headers)
            if self._under_way >= self._app.config.gateway.calls:
                return dialect.answer(OVERLOADED)
            self._under_way += 1
            try:
                asked = await self._asked(request, operation)
            except BaseException:
                self._over()
                raise
            # Starlette asks no more of a response than that it can be called.
            return cast("Response", _Counted(Answering(self._app, asked, dialect), self._over))

        return ask

    async def models(self, request: Request) -> Response:
        """The models that whoever asks may ask for."""
        found = await asyncio.to_thread(self._offers, request)
        if "anthropic-version" in request.headers:
            listed: list[Json] = [_anthropic(offer) for offer in found]
            ends: dict[str, Json] = {
                "first_id": found[0].name if found else None,
                "last_id": found[-1].name if found else None,
            }
            return JSONResponse({"data": listed, "has_more": False, **ends})
        return JSONResponse({"object": "list", "data": [_openai(offer) for offer in found]})

    async def model(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["model"]
        found = await asyncio.to_thread(self._offers, request)
        offer = next((one for one in found if one.name == name), None)
        if offer is None:
            raise UnknownModel(
                f"no model {name[:200]!r} is offered to you: GET /v1/models lists those that are"
            )
        is_anthropic = "anthropic-version" in request.headers
        return JSONResponse(_anthropic(offer) if is_anthropic else _openai(offer))

    def _offers(self, request: Request) -> list[Offer]:
        caller = caller_of(request)
        organisation = caller.principal.organisation

        def may_use(connection: str) -> bool:
            return caller.may(
                _USE, self._app.access.resource("connection", connection, organisation=organisation)
            )

        return offers(self._app, may_use)

    async def _asked(self, request: Request, operation: Spoken) -> Asked:
        """What a request asks, once it is known that whoever sends it may. Raises what `refused` has an answer for."""
        caller = caller_of(request)
        body = body_of(request)
        if not isinstance(body, dict):
            raise InvalidInput("the body is no JSON object: send one with a model, as the interface has it")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise InvalidInput('the body names no model: say "model", as GET /v1/models lists them')
        if body.get("background"):
            raise InvalidInput(
                "background is true, and what is answered later can be neither bounded nor recorded: leave it out"
            )
        target = target_of(self._app, model, operation)
        principal = caller.principal
        resource = self._app.access.resource(
            "connection", target.connection, organisation=principal.organisation
        )
        await asyncio.to_thread(self._let_in, caller, resource, {"model": model, "operation": operation})
        return Asked(
            operation,
            model,
            body,
            {name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers},
            principal,
            key=_bounded(request, "idempotency-key", _LONGEST_KEY),
            session=_bounded(request, "x-surefoot-session", _LONGEST_SESSION),
            trace=told_by(request.headers),
        )

    def _let_in(self, caller: Caller, resource: Resource, details: Mapping[str, object]) -> None:
        """Raise `AccessDenied` where he may not use the connection; both are told in the audit."""
        caller.require(_USE, resource)
        principal = caller.principal
        if off := self._app.access.switches.against(principal, flow=flow.NAME):
            raise self._app.access.deny(
                *(principal, _USE, resource, f"{off} is switched off", caller.request_id)
            )
        self._app.access.record(principal, _USE, resource, request_id=caller.request_id, details=details)

    def _over(self) -> None:
        self._under_way -= 1


class _Counted:
    """A response that says when it is over."""

    def __init__(self, response: Answering, over: Callable[[], None]) -> None:
        self._response = response
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._response(scope, receive, send)
        finally:
            self._over()


def _bounded(request: Request, name: str, most: int) -> str:
    value = request.headers.get(name, "").strip()
    if len(value) > most or not value.isprintable():
        raise InvalidInput(
            f"the header {name} has more than {most} characters, or some that cannot be printed"
        )
    return value


def _openai(offer: Offer) -> dict[str, Json]:
    return {"id": offer.name, "object": "model", "created": 0, "owned_by": offer.connection}


def _anthropic(offer: Offer) -> dict[str, Json]:
    return {"id": offer.name, "type": "model", "display_name": offer.name, "created_at": _SINCE}
