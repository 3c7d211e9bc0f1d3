"""Circuit breakers: what fails again and again is not tried for a while, in one process and shared over Redis."""

from surefoot.limits.breakers.breaker import Breaker, Listener, Reading
from surefoot.limits.breakers.phases import Change, State
from surefoot.limits.breakers.registry import MODELS, Breakers, Endpoints
from surefoot.limits.breakers.rules import Counts, Rules
from surefoot.limits.breakers.trials import Trial, is_failure

__all__ = [
    "MODELS",
    "Breaker",
    "Breakers",
    "Change",
    "Counts",
    "Endpoints",
    "Listener",
    "Reading",
    "Rules",
    "State",
    "Trial",
    "is_failure",
]
