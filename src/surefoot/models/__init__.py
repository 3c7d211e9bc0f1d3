"""Models: the hook under SDK clients, endpoints and aliases, retries, prices, and the embedded model."""

from surefoot.models.clients import ClientSettings, build_client, is_client, is_client_class, provider_of
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
from surefoot.models.wrapped import autolog, http_client, wrap

__all__ = [
    "PLACEHOLDER_KEY",
    "CallTarget",
    "ClientSettings",
    "Endpoint",
    "Endpoints",
    "Policy",
    "Retries",
    "Route",
    "autolog",
    "build_client",
    "http_client",
    "install",
    "is_client",
    "is_client_class",
    "is_installed",
    "policy",
    "provider_of",
    "rates_of",
    "uninstall",
    "wrap",
]
