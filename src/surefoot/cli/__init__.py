"""The command line."""

from surefoot.cli.root import main

__all__ = ["main"]
