"""Which code and which runs use which prompt, and whether a version of it still fits them."""

from surefoot.prompts.fitting.scanning import scan
from surefoot.prompts.fitting.uses import Given, Left, Scanned, Use, User, users

__all__ = ["Given", "Left", "Scanned", "Use", "User", "scan", "users"]
