"""A run that halts in the middle, for the demo to kill: `python -m surefoot.cli.halting FLOW NAME=VALUE ...`.

It is `surefoot run` with a listener: once a model call is durably recorded and the next step begins, the process
stops itself (SIGSTOP) and never goes on. What comes after is the parent's to do.
"""

from __future__ import annotations

import os
import signal
import sys

from surefoot.app import App
from surefoot.cli import inputs, screen
from surefoot.cli.performing import perform
from surefoot.flows import Listener, RunEvent, StepClosed, StepOpened, checked, find_spec


class Halt:
    """Stops the process when the step after the first model call begins.

    The flow goes on from a call only when the call's outcome is durable, so that then it is.
    """

    def __init__(self) -> None:
        self._is_called = False

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, StepClosed) and event.kind == "call":
            self._is_called = True
        elif isinstance(event, StepOpened) and self._is_called:
            os.kill(os.getpid(), signal.SIGSTOP)


def main() -> int:
    """Run the flow of the command line until it halts; the exit code of a run that did not."""
    screen.show_warnings()
    reference, *given = sys.argv[1:]
    app = App.current()
    with app.entered():
        found, spec = find_spec(reference)
        ready = checked(spec, inputs.pairs(given, option="input"), is_text=True)

    def action(listener: Listener) -> object:
        return app.run(found, ready, listener=listener)

    # A live display would leave the terminal without its cursor when the process is killed.
    return perform(app, action, as_json=False, is_live=False, also=Halt())


if __name__ == "__main__":
    sys.exit(main())
