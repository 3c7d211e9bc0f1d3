"""Models: the hook under SDK clients, connections, endpoints and aliases, retries, prices, and the embedded model."""

from surefoot.models.choices import Call, Fallback
from surefoot.models.clients import (
    ClientSettings,
    build_client,
    client_settings,
    is_client,
    is_client_class,
    provider_of,
)
from surefoot.models.connections import (
    Connection,
    Credential,
    Opened,
    Target,
    available,
    connection_of,
    names_by_address,
    resolve,
)
from surefoot.models.embedding import embed
from surefoot.models.endpoints import (
    PLACEHOLDER_KEY,
    CallTarget,
    Endpoint,
    Endpoints,
    Policy,
    Route,
    policy,
)
from surefoot.models.fakes import (
    Cassette,
    ModelRequest,
    RecordedCall,
    Recording,
    Script,
    cassettes,
    readable,
    recorded,
    scripted,
)
from surefoot.models.fakes import current as fake
from surefoot.models.generating import Reply, generate
from surefoot.models.hook import install, is_installed, uninstall
from surefoot.models.prices import Price, PriceList, rates_of
from surefoot.models.prompting import Template, templates
from surefoot.models.retries import Retries
from surefoot.models.retry_budget import RetryBudget
from surefoot.models.vendors import KEY_VARIABLES, VENDORS
from surefoot.models.wrapped import autolog, http_client, wrap

__all__ = [
    "KEY_VARIABLES",
    "PLACEHOLDER_KEY",
    "VENDORS",
    "Call",
    "CallTarget",
    "Cassette",
    "ClientSettings",
    "Connection",
    "Credential",
    "Endpoint",
    "Endpoints",
    "Fallback",
    "ModelRequest",
    "Opened",
    "Policy",
    "Price",
    "PriceList",
    "RecordedCall",
    "Recording",
    "Reply",
    "Retries",
    "RetryBudget",
    "Route",
    "Script",
    "Target",
    "Template",
    "autolog",
    "available",
    "build_client",
    "cassettes",
    "client_settings",
    "connection_of",
    "embed",
    "fake",
    "generate",
    "http_client",
    "install",
    "is_client",
    "is_client_class",
    "is_installed",
    "names_by_address",
    "policy",
    "provider_of",
    "rates_of",
    "readable",
    "recorded",
    "resolve",
    "scripted",
    "templates",
    "uninstall",
    "wrap",
]
