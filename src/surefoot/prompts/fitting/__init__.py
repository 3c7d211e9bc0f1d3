"""Which code and which runs use which prompt, and whether a version of it still fits them."""

from surefoot.prompts.fitting.fit import Misfit, Names, misfits
from surefoot.prompts.fitting.recorded import DAYS, standing
from surefoot.prompts.fitting.scanning import scan
from surefoot.prompts.fitting.uses import Given, Left, Scanned, Use, User, concerned, name_in, users

__all__ = [
    "DAYS",
    "Given",
    "Left",
    "Misfit",
    "Names",
    "Scanned",
    "Use",
    "User",
    "concerned",
    "misfits",
    "name_in",
    "scan",
    "standing",
    "users",
]
