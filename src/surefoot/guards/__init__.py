"""Checks on what goes in and out, and on what may be read."""

from surefoot.guards.secrets import MASK, SecretFinder

__all__ = ["MASK", "SecretFinder"]
