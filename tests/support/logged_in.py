"""The pages behind a login, and browsers of people: their cookies, their forms, and no JavaScript."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from letting_in import client_of
from surefoot import App
from surefoot.config import ServeSettings
from surefoot.server.api.application import api_of
from surefoot.server.served import Served

FORM = "application/x-www-form-urlencoded"
ORIGIN = "http://localhost:8720"


@contextmanager
def site(app: App, *, is_open: bool = False, **settings: object) -> Iterator[ASGIApp]:
    """`surefoot serve --ui` without flows, by these settings of [serve]."""
    app.config = app.config.model_copy(update={"serve": ServeSettings.model_validate(settings, strict=False)})
    api = api_of(app, Served([]), is_open=is_open, has_ui=True)
    try:
        yield api.asgi
    finally:
        api.close(grace=0)


def hidden_in(page: str) -> dict[str, str]:
    """The hidden fields of a page, as a browser would send them."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
    return {html.unescape(name): html.unescape(value) for name, value in found}


@dataclass
class Person:
    """A browser and who sits before it."""

    web: TestClient
    origin: str = ORIGIN

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.web.get(path, headers=headers)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        """As a form of a page here; a header that is empty is left out."""
        given = {"origin": self.origin, "content-type": FORM, **headers}
        sent = {name: value for name, value in given.items() if value}
        return self.web.post(path, data=dict(fields), headers=sent)

    def log_in(self, token: str, *, wanted: str = "") -> httpx.Response:
        page = self.get("/ui/login" + (f"?next={wanted}" if wanted else ""))
        return self.post("/ui/login", {**hidden_in(page.text), "key": token})

    def log_out(self) -> httpx.Response:
        page = self.get("/ui/runs").text
        return self.post("/ui/logout", {"token": hidden_in(page)["token"]})


@contextmanager
def person(server: ASGIApp, token: str = "", **client: Any) -> Iterator[Person]:
    """A browser, in which somebody has logged in by this token."""
    with client_of(server, **client) as web:
        one = Person(web)
        if token:
            assert one.log_in(token).status_code == 303
        yield one
