"""The commands of `surefoot ragas`."""

from surefoot.cli.ragas.group import command

__all__ = ["command"]
