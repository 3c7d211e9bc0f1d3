"""Windows of time on a command line: `30m`, `1h`, `7d`, `2w`, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from surefoot.errors import InvalidInput

_S = 1_000_000_000
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def since_ns(text: str, now_ns: int, *, option: str = "--since", zone: tzinfo | None = None) -> int:
    """When a window begins, in ns since the epoch; a date without an offset is local, or of `zone`.

    Raises `InvalidInput`.
    """
    if found := _SPAN.fullmatch(text.strip().lower()):
        return max(now_ns - round(float(found[1]) * _SECONDS[found[2]] * _S), 0)
    try:
        began = datetime.fromisoformat(text.strip())
        if began.tzinfo is None:
            began = began.astimezone() if zone is None else began.replace(tzinfo=zone)
        passed = began - _EPOCH
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"{option} {text!r} is no window of time: write 30m, 1h, 7d, 2w or a date like 2026-11-24"
        ) from None
    return max(round(passed.total_seconds() * _S), 0)
