"""Runs in a notebook: live progress in the cell, and a card when they have ended."""

from surefoot.notebook.board import showing
from surefoot.notebook.kernel import Shell, shell

__all__ = ["Shell", "shell", "showing"]
