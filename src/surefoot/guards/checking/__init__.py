"""The guards around model calls: what a request is looked at for before it leaves, and an answer before it is given."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.guards.checking.checks import JUDGE_PROMPT as JUDGE_PROMPT
    from surefoot.guards.checking.checks import Checks as Checks
    from surefoot.guards.checking.custom import Custom as Custom
    from surefoot.guards.checking.custom import CustomGuard as CustomGuard
    from surefoot.guards.checking.custom import customs_of as customs_of
    from surefoot.guards.checking.judging import judged_by as judged_by
    from surefoot.guards.checking.parts import Parts as Parts
    from surefoot.guards.checking.rules import Rules as Rules
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "checks": ["JUDGE_PROMPT", "Checks"],
            "custom": ["Custom", "CustomGuard", "customs_of"],
            "judging": ["judged_by"],
            "parts": ["Parts"],
            "rules": ["Rules"],
        },
    )
