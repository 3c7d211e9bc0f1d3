"""Whether the files of a flow still say what this process has loaded: a version is approved by what files say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from surefoot.flows.sources import fingerprint_of, is_older

if TYPE_CHECKING:
    from surefoot.flows.flow import FlowSpec

_UNKNOWN = "unknown"

_loaded: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""The digest of each flow, or that of what it was made nobody can tell."""


def is_as_loaded(spec: FlowSpec) -> bool:
    """Whether the code that runs is that of the files. A flow that is in none is as it is."""
    now = fingerprint_of(spec.entry)
    known = _loaded.get(spec.target)
    if known is None:
        # Later on the digest alone counts: what a backup or a change of rights touches says the same as before.
        known = _loaded[spec.target] = now if is_older(spec.entry, spec.defined_ns) else _UNKNOWN
    return known == now
