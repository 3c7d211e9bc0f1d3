"""Models: the hook under SDK clients, connections, endpoints and aliases, retries, prices, and the embedded model."""

from surefoot.models.clients import ClientSettings, build_client, is_client, is_client_class, provider_of
from surefoot.models.connections import Connection, Credential, Target, available, connection_of, resolve
from surefoot.models.endpoints import (
    PLACEHOLDER_KEY,
    CallTarget,
    Endpoint,
    Endpoints,
    Policy,
    Route,
    policy,
)
from surefoot.models.hook import install, is_installed, uninstall
from surefoot.models.prices import rates_of
from surefoot.models.retries import Retries
from surefoot.models.vendors import KEY_VARIABLES, VENDORS
from surefoot.models.wrapped import autolog, http_client, wrap

__all__ = [
    "KEY_VARIABLES",
    "PLACEHOLDER_KEY",
    "VENDORS",
    "CallTarget",
    "ClientSettings",
    "Connection",
    "Credential",
    "Endpoint",
    "Endpoints",
    "Policy",
    "Retries",
    "Route",
    "Target",
    "autolog",
    "available",
    "build_client",
    "connection_of",
    "http_client",
    "install",
    "is_client",
    "is_client_class",
    "is_installed",
    "policy",
    "provider_of",
    "rates_of",
    "resolve",
    "uninstall",
    "wrap",
]
