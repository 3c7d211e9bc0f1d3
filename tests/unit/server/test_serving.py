"""The port that the pages are served on."""

from __future__ import annotations

import socket

import pytest

from surefoot.errors import UsageError, WorldError
from surefoot.server.serving import DEFAULT_PORT, bound


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "127.0.0.1.evil.example", ""]
)
def test_addresses_that_others_could_reach_are_refused(host: str) -> None:
    with pytest.raises(UsageError, match="ssh -L"):
        bound(host, 0)


def test_a_port_that_is_taken_is_named_and_not_shared() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WorldError, match=f"port {port} .* --port"):
            bound("127.0.0.1", port)


def test_without_a_port_the_next_free_one_is_taken() -> None:
    with bound("localhost", None) as first, bound("127.0.0.1", None) as second:
        ports = [listening.getsockname()[1] for listening in (first, second)]
        assert DEFAULT_PORT <= ports[0] < ports[1] < DEFAULT_PORT + 20
        assert first.getsockname()[0] == "127.0.0.1"


def test_a_port_that_may_not_be_used_is_an_error_in_words() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        with pytest.raises(WorldError, match="--port"):
            bound("::1", probe.getsockname()[1])
