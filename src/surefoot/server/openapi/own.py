"""The routes of the server itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from surefoot.server.openapi.operation import SHORT, TEXT, Operation, Schema, answer, ref, thing

if TYPE_CHECKING:
    from surefoot.server.entry.rule import Method

_OK: Schema = {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}
_READY: Schema = {"type": "object", "properties": {"status": {"const": "ready"}}, "required": ["status"]}
_WHAT: Schema = {
    "type": "string",
    "maxLength": 1000,
    "pattern": r"^(flow:[^\x00-\x1f\x7f/\\]{1,256}|(user|service):[A-Za-z0-9][A-Za-z0-9._@/+-]{0,127})$",
    "example": "flow:triage",
}

OPERATIONS: Mapping[tuple[Method, str], Operation] = {
    ("GET", "/healthz"): Operation({"200": answer("It lives.", _OK)}),
    ("GET", "/readyz"): Operation({"200": answer("It takes runs.", _READY)}, refuses=frozenset(("503",))),
    ("GET", "/metrics"): Operation(
        {"200": answer("Figures, in the text format of Prometheus.", TEXT, media="text/plain")}
    ),
    ("GET", "/openapi.json"): Operation({"200": answer("An OpenAPI document.", {"type": "object"})}),
    ("GET", "/flows"): Operation({"200": answer("The flows that whoever asks may see.", ref("Flows"))}),
    ("GET", "/switches"): Operation({"200": answer("What is switched off.", ref("Switches"))}),
    ("POST", "/switches"): Operation(
        {"200": answer("It is as was asked, and these runs were cancelled.", ref("Switched"))},
        taken=(
            thing(
                {"what": _WHAT},
                off={"type": ["boolean", "null"], "default": True},
                reason={**SHORT, "type": ["string", "null"]},
            ),
            {"what": "flow:triage", "reason": "it mails everybody"},
        ),
        refuses=frozenset(("422",)),
        needs_body=True,
    ),
}
