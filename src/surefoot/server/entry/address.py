"""The address that a request comes from, with proxies in front of which some are to be believed."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

from surefoot.config.entry import UNIX

_MOST_HOPS = 20


class Addresses:
    """Tells addresses. `trusted` are those of proxies, their networks, or `unix`."""

    def __init__(self, trusted: Iterable[str]) -> None:
        named = set(trusted)
        self._trusts_socket = UNIX in named
        self._trusted = [ip_network(one) for one in named - {UNIX}]

    def of(self, scope: Scope) -> str:
        """Where a request comes from: the last address on its way that is no trusted proxy's.

        Whoever sends a request may write what he likes into `X-Forwarded-For`; what a proxy adds stands behind that.
        """
        client = scope.get("client")
        found = str(client[0]) if client else ""
        if not (self._is_trusted(found) if client else self._trusts_socket):
            return found
        said = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        for one in reversed(said[-_MOST_HOPS:]):
            hop = _address(one.strip())
            if hop is None:
                break
            found = str(hop)
            if not self._is_trusted(found):
                break
        return found

    def _is_trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)


def neighbourhood(address: str) -> str:
    """What counts as one sender: an IPv4 address, or the /64 of an IPv6 one, of which everybody has so many."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return address


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
