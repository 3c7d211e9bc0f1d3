"""Which code and which runs use which prompt, and whether a version of it still fits them."""

from surefoot.prompts.fitting.fit import Misfit, misfits
from surefoot.prompts.fitting.recorded import standing
from surefoot.prompts.fitting.scanning import scan
from surefoot.prompts.fitting.uses import Given, Left, Scanned, Use, User, concerned, users

__all__ = [
    "Given",
    "Left",
    "Misfit",
    "Scanned",
    "Use",
    "User",
    "concerned",
    "misfits",
    "scan",
    "standing",
    "users",
]
