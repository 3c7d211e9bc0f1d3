"""The commands of `surefoot dataset`."""

from surefoot.cli.dataset.group import command

__all__ = ["command"]
