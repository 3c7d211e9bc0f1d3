"""What becomes of a row or a vector beside passing and failing."""

from __future__ import annotations


class Accepted(str):
    """It differs for a reason that is known: counted as passed, and printed with the reason."""

    __slots__ = ()


class NotRun(str):
    """It was not run, for this reason: neither passed nor failed."""

    __slots__ = ()
