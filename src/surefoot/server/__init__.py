"""An app over HTTP: flows as durable runs; and web pages of what is recorded."""

from surefoot.server.gate import Gate, loopback_hosts
from surefoot.server.running import LOOPBACK, serve_flows
from surefoot.server.served import Served
from surefoot.server.serving import DEFAULT_PORT, serve
from surefoot.server.web import web

__all__ = ["DEFAULT_PORT", "LOOPBACK", "Gate", "Served", "loopback_hosts", "serve", "serve_flows", "web"]
