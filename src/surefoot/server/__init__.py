"""The web pages of an app: runs and what is recorded of them, to look at; datasets, to review their cases."""

from surefoot.server.gate import Gate, loopback_hosts
from surefoot.server.serving import DEFAULT_PORT, serve
from surefoot.server.web import web

__all__ = ["DEFAULT_PORT", "Gate", "loopback_hosts", "serve", "web"]
