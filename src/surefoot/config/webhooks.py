"""The settings of what is sent out: webhooks, and what may be connected to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator, model_validator

from surefoot.addresses import is_rule
from surefoot.config.secret import Secret, SecretText
from surefoot.config.section import Names, Section

Event = Literal["run.completed", "run.failed", "run.cancelled", "run.in_doubt", "run.waiting"]
EVENTS: tuple[Event, ...] = ("run.completed", "run.failed", "run.cancelled", "run.in_doubt", "run.waiting")

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN = frozenset({"host", "content-length", "content-type", "connection", "transfer-encoding", "user-agent"})
_SECRET = ("authorization", "api-key", "token", "secret", "cookie")


class EgressSettings(Section):
    """What may be connected to where an address does not come from these settings alone: webhooks, `App.fetch`."""

    allow_private: Names = Field(
        default=(),
        description="What may be connected to although it is no address of the public internet, or speaks `http:`: "
        "hosts (`hooks.internal`, `*.acme.internal`), addresses and networks (`10.1.0.0/16`). Addresses at which a "
        "machine of a cloud asks for its credentials have to be named alone.",
    )
    hosts: Names | None = Field(
        default=None,
        description="The only hosts that may be connected to; `*` stands for any characters. Without it all of the "
        "public internet.",
    )

    prompts: Literal["any", "public"] = Field(
        default="any",
        description="Where an address may lead that a prompt file names by itself, and no connection does: `public` "
        "holds it against these rules before each attempt; `any` refuses only those of a cloud's credentials.",
    )

    @field_validator("allow_private", "hosts")
    @classmethod
    def _are_rules(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in value or ():
            if not is_rule(one):
                raise ValueError(f"{one!r} is no host, address or network such as 10.1.0.0/16")
        return value


class WebhookSettings(Section):
    """Somebody who is told of runs, by a signed request for each event."""

    url: SecretText = Field(
        description="Where it is sent: `https://host/path`. What is secret in it stands by reference, `${env:NAME}`."
    )
    secret: Secret = Field(
        description="What requests are signed with, by reference; 16 characters or more, that the receiver knows too."
    )
    events: Names = Field(
        default=EVENTS, min_length=1, description=f"Which events are told of: {', '.join(EVENTS)}."
    )
    flows: Names = Field(
        default=("*",), min_length=1, description="Of which flows, by name; `*` stands for any characters."
    )
    tenants: Names = Field(
        default=("*",),
        min_length=1,
        description="Of the runs of which tenants; `*` stands for any characters.",
    )
    output: bool = Field(
        default=False,
        description="Whether the output of a run goes along, or the error, as people may read it. Else it says only "
        "what has happened to which run.",
    )
    timeout: float = Field(default=10.0, gt=0, le=60, description="Seconds that a request may take.")
    at_once: int = Field(default=2, ge=1, le=32, description="How many requests are under way at a time.")
    headers: Mapping[str, SecretText] = Field(
        default={}, description="Further headers; secrets stand in them by reference."
    )

    @field_validator("events")
    @classmethod
    def _are_events(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if other := sorted(set(value) - set(EVENTS)):
            raise ValueError(f"{other[0]!r} is none of {', '.join(EVENTS)}")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, SecretText]) -> Mapping[str, SecretText]:
        for name, text in value.items():
            plain = name.lower()
            if _HEADER.fullmatch(name) is None or plain in _OWN or plain.startswith("surefoot-"):
                raise ValueError(f"{name!r} is no name of a header that can be added")
            if any(word in plain for word in _SECRET) and not text.is_secret:
                raise ValueError(
                    f'the header {name} holds a credential: give it by reference, as in "Bearer ${{env:TOKEN}}"'
                )
        return value

    @model_validator(mode="after")
    def _leads_somewhere(self) -> WebhookSettings:
        if not self.url.reference.startswith(("https://", "http://", "${")):
            raise ValueError("url has to be an address such as https://host/path")
        if "@" in self.url.reference.partition("://")[2].partition("/")[0]:
            raise ValueError("url names a user or a password: give them as a header, by reference")
        return self
