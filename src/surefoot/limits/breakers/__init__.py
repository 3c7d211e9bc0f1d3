"""Circuit breakers: what fails again and again is not tried for a while, in one process and shared over Redis."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.limits.breakers.breaker import Breaker as Breaker
    from surefoot.limits.breakers.breaker import Listener as Listener
    from surefoot.limits.breakers.breaker import Reading as Reading
    from surefoot.limits.breakers.phases import Change as Change
    from surefoot.limits.breakers.phases import State as State
    from surefoot.limits.breakers.registry import MODELS as MODELS
    from surefoot.limits.breakers.registry import Breakers as Breakers
    from surefoot.limits.breakers.registry import Endpoints as Endpoints
    from surefoot.limits.breakers.rules import Counts as Counts
    from surefoot.limits.breakers.rules import Rules as Rules
    from surefoot.limits.breakers.trials import Trial as Trial
    from surefoot.limits.breakers.trials import is_failure as is_failure
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "breaker": ["Breaker", "Listener", "Reading"],
            "phases": ["Change", "State"],
            "registry": ["MODELS", "Breakers", "Endpoints"],
            "rules": ["Counts", "Rules"],
            "trials": ["Trial", "is_failure"],
        },
    )
