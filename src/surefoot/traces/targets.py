"""Where traces are sent: address, headers and resource of a receiver, from options and OpenTelemetry's variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from surefoot.errors import InvalidInput

if TYPE_CHECKING:
    from surefoot.traces.remarks import Remarks

TRACES_PATH = "/v1/traces"

Signal = Literal["traces", "metrics"]

_PATHS: Mapping[Signal, str] = {"traces": "/v1/traces", "metrics": "/v1/metrics"}
_VARIABLE = "OTEL_EXPORTER_OTLP_{}"
_RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
_SERVICE = "OTEL_SERVICE_NAME"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver of OTLP over HTTP. `headers` may hold credentials, so they are not shown.

    `resource` says of every span where it comes from. `joins`: runs that were asked for in a span of another system are
    told in that one's trace. `remarks` is how it is told of what is no span, None where it is
    not.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    resource: Mapping[str, str] = field(default_factory=dict[str, str])
    is_compressed: bool = True
    joins: bool = False
    remarks: Remarks | None = None


def otlp_target(
    url: str | None,
    *,
    headers: Mapping[str, str] | None = None,
    environ: Mapping[str, str],
    signal: Signal = "traces",
) -> Target:
    """Any OTLP receiver of a signal, at `url` or where OpenTelemetry's own variables in `environ` point.

    A URL names the receiver and gets `/v1/traces` (or `/v1/metrics`) added unless it ends so; that of
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is taken as it is. `headers` go before those of
    OTEL_EXPORTER_OTLP_TRACES_HEADERS, these before those of OTEL_EXPORTER_OTLP_HEADERS. Raises `InvalidInput`.
    """
    sent: dict[str, str] = {}
    for variable in (_VARIABLE.format("HEADERS"), _of(signal, "HEADERS")):
        sent |= {name.lower(): value for name, value in _pairs(variable, environ.get(variable, ""))}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    check_headers(sent)
    compressions = (_of(signal, "COMPRESSION"), _VARIABLE.format("COMPRESSION"))
    compression = next((environ[name] for name in compressions if environ.get(name)), "gzip")
    address = _address(url, environ, signal)
    return Target(address, sent, resource_of(environ), compression.strip().lower() != "none")


def _address(url: str | None, environ: Mapping[str, str], signal: Signal) -> str:
    if url is None:
        variable, endpoint = _of(signal, "ENDPOINT"), _VARIABLE.format("ENDPOINT")
        if exact := environ.get(variable):
            return _checked(exact, variable)
        if not (url := environ.get(endpoint)):
            raise InvalidInput(
                f"no receiver of {signal} is named: give its URL, as http://localhost:4318, or set {endpoint}"
            )
        place = endpoint
    else:
        place = "the URL"
    # Of a receiver that is named by where it takes one signal.
    named = url.strip().rstrip("/")
    other = next((path for path in _PATHS.values() if path != _PATHS[signal] and named.endswith(path)), "")
    return address_of(named.removesuffix(other), _PATHS[signal], place)


def _of(signal: Signal, what: str) -> str:
    """A variable of OpenTelemetry's for one signal."""
    return _VARIABLE.format(f"{signal.upper()}_{what}")


def address_of(url: str, path: str, place: str = "the URL") -> str:
    """Where a receiver at `url` takes traces: at `path` behind it, unless it ends so. Raises `InvalidInput`."""
    parts = urlsplit(_checked(url, place))
    found = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=found if found.endswith(path) else found + path))


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise `InvalidInput` for what a header cannot be called, or cannot carry."""
    for name, value in headers.items():
        _check_header(name, value)


def _checked(url: str, place: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
        parts = None
    if not is_good or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput(
            f"{place} {url!r} is no address of a receiver: write it like http://localhost:4318"
        )
    if parts is not None and (parts.username or parts.password):
        # The URL is printed; a password in it would be too.
        raise InvalidInput(f"{place} holds a password: send it as --header authorization='Basic ...' instead")
    return url


def resource_of(environ: Mapping[str, str]) -> dict[str, str]:
    """What is said of every span: the service, as OpenTelemetry's variables name it, and what sends it."""
    found = {
        "service.name": "surefoot",
        "telemetry.sdk.name": "surefoot",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": own_version(),
    }
    found |= dict(_pairs(_RESOURCE, environ.get(_RESOURCE, "")))
    if name := environ.get(_SERVICE):
        found["service.name"] = name
    return found


@cache
def own_version() -> str:
    """The version of Surefoot that sends. It is read from files, in a millisecond."""
    return version("surefoot")


def _pairs(variable: str, text: str) -> Iterable[tuple[str, str]]:
    """The `name=value` pairs of a variable, separated by commas, percent-encoded where they have to be."""
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, found, value = part.partition("=")
        if not found or not name.strip():
            # The text is not repeated: it may be a credential.
            raise InvalidInput(f"{variable} is malformed: write name=value,name=value")
        yield unquote(name.strip()), unquote(value.strip())


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name of a header")
    if not value.isascii() or not value.isprintable():
        raise InvalidInput(f"the value of header {name} holds characters that a header cannot carry")
