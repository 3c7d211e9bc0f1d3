"""Ending runs for a server, where what they have done is undone by code of their flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.errors import StepFailed

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.flows import Run


def cancel(app: App, run_id: str, *, reason: str, wait: float = 0.0) -> Run:
    """`App.cancel`, of which a compensation ends neither a thread of the server nor the server.

    Raises what that raises, and `StepFailed` for a compensation that exits.
    """
    try:
        return app.cancel(run_id, reason=reason, wait=wait)
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as left:
        raise StepFailed(
            f"run {run_id}: a compensation ended in {type(left).__name__} and is not done: mend it, and cancel the run "
            "again",
            run_id=run_id,
            step="",
        ) from left
