"""The ids by which receivers know a run and what happened in it: derived from those that the ledger holds."""

from __future__ import annotations

from hashlib import blake2b

from surefoot.values import id_bytes


def trace_id(run_id: str) -> bytes:
    """The 16 bytes of a trace's id: those of the run's own id."""
    return id_bytes(run_id)


def span_id(run_id: str, place: str = "") -> bytes:
    """The 8 bytes of a span's id, from a span's `id` (key and attempt), or of the run's own span.

    The run takes part, as a fork shares its step keys with its origin and some receivers want span ids that are unique
    over all traces.
    """
    return blake2b(f"{run_id}/{place}".encode(), digest_size=8).digest()
