"""What may be connected to: by where an address leads, however it is spelled."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.addresses import Egress, Pinned, embedded, is_rule, refused, resolve
from surefoot.errors import AddressRefused

PUBLIC = "93.184.216.34"
OPEN = Egress()


def leads_to(*ips: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: list(ips)


def nowhere(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


def pinned(url: str, *ips: str, rules: Egress = OPEN) -> Pinned:
    return resolve(url, rules, lookup=leads_to(*(ips or (PUBLIC,))))


def test_what_is_resolved_is_what_is_connected_to() -> None:
    found = pinned("https://Hooks.Example:8443/a b?x=1".replace(" ", "%20"), PUBLIC, "2606:2800:21f::1")
    assert found == Pinned(
        "https://Hooks.Example:8443/a%20b?x=1",
        *("https", "hooks.example", 8443, "/a%20b?x=1", (PUBLIC, "2606:2800:21f::1")),
    )
    assert (found.ip, found.authority) == (PUBLIC, "hooks.example:8443")
    assert pinned("https://hooks.example").target == "/"
    assert pinned("https://hooks.example./x").host == "hooks.example"
    assert pinned("https://bücher.example/ü#top").host == "xn--bcher-kva.example"
    assert pinned("https://bücher.example/ü#top").target == "/%C3%BC"
    assert resolve(f"https://{PUBLIC}/", OPEN, lookup=nowhere).ips == (PUBLIC,)
    assert resolve("https://[2606:2800:21f::1]/", OPEN, lookup=nowhere).authority == "[2606:2800:21f::1]"


@pytest.mark.parametrize(
    ("ip", "said"),
    [
        ("127.0.0.1", "this machine"),
        ("127.255.255.254", "this machine"),
        ("::1", "this machine"),
        ("0.0.0.0", "no machine"),
        ("0.1.2.3", "private network"),
        ("::", "no machine"),
        ("10.0.0.1", "private network"),
        ("172.31.255.255", "private network"),
        ("192.168.1.1", "private network"),
        ("100.64.0.1", "private network"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fd12::1", "private network"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "private network"),
        ("192.88.99.1", "reserved"),
        ("198.18.0.1", "private network"),
        ("2001:db8::1", "private network"),
        ("169.254.169.254", "credentials"),
        ("fd00:ec2::254", "credentials"),
        ("168.63.129.16", "credentials"),
        ("100.100.100.200", "credentials"),
        ("::ffff:169.254.169.254", "credentials"),
        ("::ffff:127.0.0.1", "this machine"),
        ("::127.0.0.1", "this machine"),
        ("64:ff9b::127.0.0.1", "this machine"),
        ("64:ff9b::a9fe:a9fe", "credentials"),
        ("64:ff9b:1::10.0.0.1", "private network"),
        ("2002:7f00:1::", "this machine"),
        ("2002:a9fe:a9fe::1", "credentials"),
        ("::ffff:0:127.0.0.1", "this machine"),
        ("2606:2800:21f:1:0:5efe:10.0.0.1", "private network"),
        ("5f00::1", "reserved"),
    ],
)
def test_what_is_not_public(ip: str, said: str) -> None:
    assert said in (refused(ip_address(ip)) or "public")
    with pytest.raises(AddressRefused, match=said):
        pinned("https://hooks.example/", ip)


@pytest.mark.parametrize("ip", [PUBLIC, "1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::1.1.1.1"])
def test_what_is_public(ip: str) -> None:
    assert refused(ip_address(ip)) is None or ip.startswith("64:")
    assert embedded(ip_address(ip)) in (ip_address(ip), ip_address("1.1.1.1"))


def test_one_address_that_is_not_public_among_others_is_enough() -> None:
    with pytest.raises(
        AddressRefused, match=r"hooks\.example leads to 10\.0\.0\.7, which is an address of a private"
    ):
        pinned("https://hooks.example/", PUBLIC, "10.0.0.7")


@given(st.integers(0, 2**24 - 1), st.sampled_from(["d", "x", "o", "int", "short", "mapped", "wide"]))
def test_no_spelling_of_this_machine_is_let_through(low: int, way: str) -> None:
    number = 127 << 24 | low
    a, b, c, d = number.to_bytes(4, "big")
    spelled = {
        "d": f"{a}.{b}.{c}.{d}",
        "x": f"0x{a:x}.0X{b:x}.{c}.{d}",
        "o": f"0{a:o}.{b}.0{c:o}.{d}",
        "int": f"{number}",
        "short": f"{a}.{low}",
        "mapped": f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]",
        "wide": f"{a}\u3002{b}\uff0e{c}\uff61{d}",
    }[way]
    with pytest.raises(AddressRefused):
        resolve(f"https://{spelled}/", OPEN, lookup=nowhere)


@given(st.ip_addresses())
def test_an_address_is_refused_with_all_that_carries_it(ip: IPv4Address | IPv6Address) -> None:
    if isinstance(ip, IPv4Address) and refused(ip) is not None:
        number = int(ip)
        for carrying in (
            IPv6Address(0xFFFF << 32 | number),
            IPv6Address((0x64FF9B << 96) | number),
            IPv6Address((0x2002 << 112) | (number << 80) | 1),
        ):
            assert refused(carrying) is not None, carrying
    if not ip.is_global:
        assert refused(ip) is not None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "scheme 'file'"),
        ("gopher://hooks.example/", "scheme 'gopher'"),
        ("ftp://hooks.example/", "scheme 'ftp'"),
        ("//hooks.example/", "scheme ''"),
        ("hooks.example/x", "scheme ''"),
        ("https://", "no host"),
        ("https:///x", "no host"),
        ("https://ann:pw@hooks.example/", "names a user"),
        ("https://hooks.example@evil.example/", "names a user"),
        ("https://@hooks.example/", "names a user"),
        ("https://hooks.example\\@evil.example/", "backslashes"),
        ("https://hooks.example\r\nHost: x/", "control characters"),
        ("https://hooks.example/a b", "blanks"),
        ("https://hooks.example:0/", "port 0"),
        ("https://hooks.example:99999/", "no URL"),
        ("https://hooks.example:x/", "no URL"),
        ("https://[::1/", "no URL"),
        ("https://[fe80::1%25eth0]/", "odd spelling"),
        ("https://hooks%2eexample/", "odd spelling"),
        ("https://hooks_.-example/", "no name that can be looked up"),
        ("https://256.256.256.256/", "number, and no address"),
        ("https://1.2.3.4.5/", "number, and no address"),
        ("https://0x/", "this machine|no machine|number"),
        ("https://hooks.example/" + "x" * 3000, "too long"),
        ("http://hooks.example/", "write https://"),
    ],
)
def test_urls_that_are_refused_as_they_stand(url: str, said: str) -> None:
    with pytest.raises(AddressRefused, match=said):
        pinned(url)


def test_what_is_refused_is_told_without_what_may_be_secret_in_it() -> None:
    for url in ("https://10.0.0.1/services/T0/topsecret?k=hunter2", "http://hooks.example/topsecret"):
        with pytest.raises(AddressRefused) as refusal:
            pinned(url)
        assert "topsecret" not in str(refusal.value)
        assert "hunter2" not in str(refusal.value)


def test_what_the_settings_allow() -> None:
    own = Egress(("hooks.internal", "*.acme.internal", "10.1.0.0/16", "127.0.0.1"))
    assert pinned("http://hooks.internal/", "192.168.3.4", rules=own).ip == "192.168.3.4"
    assert pinned("http://a.acme.internal/", "fd12::1", rules=own).ip == "fd12::1"
    assert pinned("http://any.example/", "10.1.2.3", rules=own).ip == "10.1.2.3"
    assert pinned("http://127.0.0.1:9/", rules=own).ip == "127.0.0.1"
    assert pinned("https://x.example/", "::ffff:10.1.2.3", rules=own).ip == "::ffff:10.1.2.3"
    for url, ip in [
        ("https://acme.internal/", "10.2.0.1"),
        ("https://any.example/", "10.2.2.3"),
        ("https://127.0.0.2/", "127.0.0.2"),
        ("http://any.example/", PUBLIC),
        ("http://hooks.internal/", PUBLIC),
        ("https://hooks.internal/", "169.254.169.254"),
        ("https://hooks.internal/", "224.0.0.1"),
        ("https://hooks.internal.evil.example/", "10.2.0.1"),
    ]:
        with pytest.raises(AddressRefused):
            pinned(url, ip, rules=own)


def test_credentials_of_a_cloud_have_to_be_named_alone() -> None:
    for private in (("169.254.0.0/16",), ("*",), ("0.0.0.0/0", "::/0")):
        for ip in ("169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "168.63.129.16"):
            with pytest.raises(AddressRefused, match="credentials"):
                pinned("https://meta.example/", ip, rules=Egress(private))
    alone = Egress(("169.254.169.254",))
    assert pinned("http://169.254.169.254/", rules=alone).ip == "169.254.169.254"


def test_only_the_hosts_that_are_listed() -> None:
    rules = Egress(hosts=("hooks.example", "*.acme.example"))
    assert pinned("https://HOOKS.example/", rules=rules).host == "hooks.example"
    assert pinned("https://a.acme.example/", rules=rules).host == "a.acme.example"
    for host in ("acme.example", "evil.example", "hooks.example.evil.example", PUBLIC):
        with pytest.raises(AddressRefused, match="none of the hosts"):
            resolve(f"https://{host}/", rules, lookup=nowhere)


def test_an_answer_without_addresses_and_one_of_nonsense() -> None:
    with pytest.raises(OSError, match="has no address"):
        resolve("https://hooks.example/", OPEN, lookup=leads_to())
    with pytest.raises(AddressRefused, match="no address"):
        pinned("https://hooks.example/", "not-an-ip")


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8", "fd00::/8", "127.0.0.1", "hooks.internal", "*.a.example", "*"]
)
def test_rules(text: str) -> None:
    assert is_rule(text)


@pytest.mark.parametrize("text", ["", "https://a.example", "a/b", "10.0.0.0/99", "a b", "127.1", "-a"])
def test_what_is_no_rule(text: str) -> None:
    assert not is_rule(text)
