"""Checks on what goes in and out, and on what may be read."""

from surefoot.guards.secrets import MASK, InEnvironment, SecretFinder

__all__ = ["MASK", "InEnvironment", "SecretFinder"]
