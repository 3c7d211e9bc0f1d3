"""The settings of who gets into `surefoot serve`, and of what a request may look like."""

from __future__ import annotations

from ipaddress import ip_network

from pydantic import Field, field_validator

from surefoot.config.section import Names, Section

UNIX = "unix"
"""Whoever comes by a socket file, who has no address."""


class EntrySettings(Section):
    """What a request has to keep to before anything is done for it."""

    hosts: Names = Field(
        default=(),
        description="The names that the server goes by, as `api.acme.example` or with a port, `*.acme.example` for "
        "those below one, `*` for any; another `Host` is refused. `localhost` is always among them.",
    )
    origins: Names = Field(
        default=(),
        description="Web sites whose pages may read the answers, as `https://app.acme.example`. By default none.",
    )
    trusted_proxies: Names = Field(
        default=(),
        description="Addresses or networks of the proxies in front, `unix` for one at the socket file: of these alone "
        "`X-Forwarded-For` is believed.",
    )
    read_seconds: float = Field(
        default=20.0,
        gt=0,
        description="Seconds in which the headers of a request have to be here, and its body after them.",
    )
    write_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Seconds in which whoever is answered has to take some more of the answer; else he is cut off.",
    )
    max_body: int = Field(
        default=4_000_000, ge=1, description="How many bytes the body of a request may have."
    )
    max_headers: int = Field(default=100, ge=1, description="How many headers a request may have.")
    max_header_bytes: int = Field(
        default=32_768, ge=1024, le=1_000_000, description="How many bytes its headers may have together."
    )
    requests_per_minute: float = Field(
        default=6000.0,
        ge=0,
        description="How many requests somebody may make in a minute, a tenth of them at once; 0 for any number. "
        "Servers with one `[redis]` count them together.",
    )
    bad_tokens_per_minute: float = Field(
        default=20.0,
        gt=0,
        description="How many tokens that open nothing an address may show in a minute, before it is not asked for "
        "whose they are.",
    )
    datasets_of: str = Field(
        default="",
        description="The organisation that the dataset files of the project belong to: on the pages (`--ui`) nobody of "
        "another sees them. By default that without a name.",
    )
    session_idle: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds after which a login on the pages (`--ui`) ends in which nothing was asked for.",
    )
    session_longest: float = Field(
        default=43_200.0,
        gt=0,
        description="Seconds after which it ends in any case.",
    )
    hsts: int = Field(
        default=0,
        ge=0,
        description="Seconds for which browsers are told to come by https alone (Strict-Transport-Security): set it "
        "where a proxy with TLS stands in front.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if one == UNIX:
                continue
            try:
                ip_network(one)
            except ValueError:
                raise ValueError(
                    f"{one!r} is no address and no network: write 10.0.0.7, 10.0.0.0/8 or {UNIX}"
                ) from None
        return value

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            scheme, sign, host = one.partition("://")
            if scheme not in ("http", "https") or not sign or not host or set(host) & set("/*?#@ "):
                raise ValueError(f"{one!r} is no origin: write https://app.acme.example, each by itself")
        return value
