"""`surefoot prompt`: prompts looked at, compared, rendered, run, tested and brought up to date."""

from surefoot.cli.prompt.group import command

__all__ = ["command"]
