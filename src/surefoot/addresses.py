"""What may be connected to: an address from somebody else, held against the rules before anything is sent to it.

A name is resolved once, every address of the answer is looked at, and the connection is made to that address and to no
other: a name that says something else a moment later leads nowhere. However an address is spelled, what counts is where
it leads.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from surefoot.errors import AddressRefused

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Lookup = Callable[[str, int], Iterable[str]]
"""Gives all addresses of a host, as texts. Raises `OSError` where it has none."""

_PORTS = {"https": 443, "http": 80}
_LONGEST = 2_048
_MOST_ADDRESSES = 64

# What a URL may not hold at all: readers of it disagree on what it means.
_ODD = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
# What the resolver of the system reads as a number: `127.1`, `0x7f.1`, `017700000001`, `2130706433`.
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")

# Where a machine of a cloud asks for its own credentials. None of these is ever meant, unless it is listed alone.
_METADATA: frozenset[Ip] = frozenset(
    ip_address(one)
    for one in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
)

# What `is_global` of some Python versions takes for public, and leads to this machine or a network of its own.
_CLOSED: tuple[Network, ...] = tuple(
    ip_network(one)
    for one in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/128", "::1/128", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


@dataclass(frozen=True, slots=True)
class Egress:
    """The rules of what may be connected to.

    private: hosts (`hooks.internal`, `*.acme.internal`) that may be on a private network or on this machine, and
        addresses and networks (`10.1.0.0/16`) that may be connected to whatever name leads there. To these `http:` is
        spoken too, to all others `https:` alone.
    hosts: the only hosts that may be connected to, by patterns; None for all.
    """

    private: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None
    _networks: tuple[Network, ...] = field(init=False, repr=False, compare=False)
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        networks: list[Network] = []
        names: list[str] = []
        for one in self.private:
            network = _network(one)
            if network is None:
                names.append(one.lower().rstrip("."))
            else:
                networks.append(network)
        object.__setattr__(self, "_networks", tuple(networks))
        object.__setattr__(self, "_names", tuple(names))

    def allow_host(self, host: str) -> bool:
        """Whether a host may be connected to at all, by its name."""
        return self.hosts is None or matches(host, self.hosts)

    def is_own(self, host: str, ip: Ip) -> bool:
        """Whether an address that is not public may be connected to all the same."""
        inner = embedded(ip)
        if inner in _METADATA or ip in _METADATA:
            return any(_is_alone(network) and inner in network for network in self._networks)
        if any(ip in network or inner in network for network in self._networks):
            return True
        return is_private(inner) and matches(host, self._names)


@dataclass(frozen=True, slots=True)
class Pinned:
    """Where a URL leads: the addresses that were looked at, of which one is connected to, under the name of the host.

    `target` is the path with its query, `authority` what the header `Host` says.
    """

    url: str
    scheme: str
    host: str
    port: int
    target: str
    ips: tuple[str, ...]

    @property
    def ip(self) -> str:
        return self.ips[0]

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def lookup(host: str, port: int) -> list[str]:
    """What the system says are the addresses of a host, the one to be tried first in front. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def resolve(url: str, rules: Egress, *, lookup: Lookup = lookup) -> Pinned:
    """Where a URL leads, once every address behind it was held against the rules.

    Raises `AddressRefused`, which says what is wrong without the path and query of the URL, and `OSError` for a name
    that has no address.
    """
    scheme, host, port, target = _parts(url)
    _check_host(host, rules)
    texts = [host] if _literal(host) is not None else list(lookup(host, port))[:_MOST_ADDRESSES]
    if not texts:
        raise OSError(f"{host} has no address")
    are_own = True
    for text in texts:
        ip = _ip(text)
        is_own = rules.is_own(host, ip)
        if not is_own and (reason := refused(ip)) is not None:
            where = host if text == host else f"{host} leads to {ip}, which"
            raise AddressRefused(_not_public(where, reason))
        are_own = are_own and is_own
    if scheme == "http" and not are_own:
        raise AddressRefused(
            f"http://{host} would be read and changed on its way: write https://, or add the host to "
            "[egress] allow_private where it is on a network of yours"
        )
    return Pinned(url, scheme, host, port, target, tuple(texts))


def check_written(url: str, rules: Egress) -> None:
    """Hold a URL against the rules as far as its spelling goes: nothing is looked up. Raises `AddressRefused`."""
    _, host, _, _ = _parts(url)
    _check_host(host, rules)
    ip = _literal(host)
    if ip is not None and not rules.is_own(host, ip) and (reason := refused(ip)) is not None:
        raise AddressRefused(_not_public(host, reason))


def refused(ip: Ip) -> str | None:
    """What an address is that nobody may make us connect to, in words; None for one of the public internet."""
    inner = embedded(ip)
    if inner in _METADATA or ip in _METADATA:
        return "an address at which a machine of a cloud asks for its own credentials"
    if inner.is_loopback:
        return "this machine"
    if inner.is_unspecified:
        return "an address of no machine"
    if inner.is_multicast or ip.is_multicast:
        return "a multicast address"
    if inner.is_link_local:
        return "a link-local address"
    if not _is_public(inner) or not _is_public(ip):
        return "an address of a private network" if is_private(inner) else "a reserved address"
    return None


def is_private(ip: Ip) -> bool:
    """Whether it is of this machine or a network of its own: what a listed name may lead to."""
    return ip.is_loopback or ip.is_private or ip in IPv4Network("100.64.0.0/10")


def embedded(ip: Ip) -> Ip:
    """The IPv4 address that an IPv6 address stands for (mapped, translated, tunnelled); itself where it is none."""
    if isinstance(ip, IPv4Address):
        return ip
    number = int(ip)
    low = IPv4Address(number & 0xFFFF_FFFF)
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if any(ip in network for network in _NAT64) or ip in _TRANSLATED:
        return low
    if ip in _COMPATIBLE and number > 1:
        return low
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if (number >> 32) & 0xFFFF_FFFF in _ISATAP:
        return low
    return ip


def matches(host: str, patterns: Sequence[str]) -> bool:
    """Whether a host is one of the patterns, `*` standing for any characters."""
    plain = host.lower().rstrip(".")
    return any(fnmatchcase(plain, pattern.lower().rstrip(".")) for pattern in patterns)


def is_rule(text: str) -> bool:
    """Whether a text is an address, a network or a pattern of hosts, as `Egress` takes it."""
    if _network(text) is not None:
        return True
    plain = text.lower().rstrip(".").replace("*", "x")
    return "/" not in text and _NAME.fullmatch(plain) is not None and _NUMERIC.fullmatch(plain) is None


def _check_host(host: str, rules: Egress) -> None:
    if not rules.allow_host(host):
        raise AddressRefused(
            f"{host} is none of the hosts that may be connected to: add it to [egress] hosts if it is to be"
        )


def _not_public(where: str, reason: str) -> str:
    return (
        f"{where} is {reason}, and no address of the public internet: add the host, or the network, to [egress] "
        "allow_private if it may be connected to"
    )


def _is_public(ip: Ip) -> bool:
    return ip.is_global and not any(ip in network for network in _CLOSED)


def _parts(url: str) -> tuple[str, str, int, str]:
    """Scheme, host as it is looked up, port, and path with query. Raises `AddressRefused`."""
    if len(url) > _LONGEST or _ODD.search(url):
        raise AddressRefused("the URL has blanks, control characters or backslashes in it, or is too long")
    try:
        parts = urlsplit(url)
        port = parts.port
        named = parts.hostname or ""
    except ValueError:
        raise AddressRefused("it is no URL such as https://host/path") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise AddressRefused(
            f"the scheme {scheme[:20]!r} is not spoken here: it has to be a URL such as https://host/path"
        )
    if "@" in parts.netloc:
        raise AddressRefused("the URL names a user or a password before its host: leave them out")
    host = _host(named)
    if port == 0:
        raise AddressRefused(f"{host} has no port 0")
    target = parts.path or "/"
    if parts.query:
        target = f"{target}?{parts.query}"
    return scheme, host, port or _PORTS[scheme], _encoded(target)


def _host(named: str) -> str:
    """A host in the form that is looked up. Raises `AddressRefused`."""
    if not named or "%" in named:
        raise AddressRefused("the URL names no host, or one in an odd spelling")
    if ":" in named:
        try:
            return str(IPv6Address(named))
        except ValueError:
            raise AddressRefused("the host is no IPv6 address") from None
    plain = named.lower()
    if not plain.isascii():
        try:
            plain = plain.encode("idna").decode().lower()
        except UnicodeError:
            raise AddressRefused("the host is no name that can be looked up") from None
    plain = plain.removesuffix(".")
    if _NUMERIC.fullmatch(plain):
        try:
            return str(IPv4Address(socket.inet_aton(plain)))
        except OSError:
            raise AddressRefused("the host is a number, and no address") from None
    if not _NAME.fullmatch(plain):
        raise AddressRefused("the host is no name that can be looked up")
    return plain


def _encoded(target: str) -> str:
    """A path with its query as it goes over the wire: what is beyond ASCII is percent-encoded."""
    return "".join(
        one if one.isascii() else "".join(f"%{byte:02X}" for byte in one.encode()) for one in target
    )


def _literal(host: str) -> Ip | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _ip(text: str) -> Ip:
    """An address of a resolver's answer. Raises `AddressRefused`."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        raise AddressRefused("the host leads to what is no address") from None


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _is_alone(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen
