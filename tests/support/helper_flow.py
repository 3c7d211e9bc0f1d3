"""A flow in a module of its own, with a literal that no other module has."""

from __future__ import annotations

from surefoot import flow, scope


@flow
def tell() -> bool:
    """Whether a literal of this module is trusted behind an untrusted read."""
    here = scope.current()
    assert here is not None
    here.taint("something")
    return here.is_trusted("a text that only this module has")
