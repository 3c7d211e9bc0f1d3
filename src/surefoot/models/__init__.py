"""Models: the hook under SDK clients, connections, endpoints and aliases, retries, prices, and the embedded model."""

from surefoot.models.chain.bounds import Load, capped
from surefoot.models.chain.connections import (
    Connection,
    Credential,
    Opened,
    Target,
    available,
    connection_of,
    names_by_address,
    resolve,
)
from surefoot.models.chain.endpoints import (
    PLACEHOLDER_KEY,
    CallTarget,
    Endpoint,
    Endpoints,
    Policy,
    Route,
    policy,
)
from surefoot.models.chain.limits import Admission, Breakers, Budgets
from surefoot.models.chain.prices import Price, PriceList, rates_of
from surefoot.models.chain.retries import Retries
from surefoot.models.chain.retry_budget import RetryBudget
from surefoot.models.chain.stated import Stated, stated_target
from surefoot.models.chain.vendors import KEY_VARIABLES, VENDORS
from surefoot.models.chain.weighing import Weight, weigh
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
from surefoot.models.generating.answering import Escalation
from surefoot.models.generating.checks import Agreement, Confidence, Judge
from surefoot.models.generating.choices import Call, Fallback
from surefoot.models.generating.embedding import embed
from surefoot.models.generating.estimating import TokenEstimate, estimated
from surefoot.models.generating.generate import Reply, generate
from surefoot.models.generating.prompting import Template, templates
from surefoot.models.generating.router import Router
from surefoot.models.generating.tiers import Tier, Tiered
from surefoot.models.generating.trials import Trial, trying
from surefoot.models.generating.using import Using
from surefoot.models.sdk.clients import (
    ClientSettings,
    build_client,
    client_settings,
    is_client,
    is_client_class,
    provider_of,
)
from surefoot.models.sdk.hook import install, is_installed, uninstall
from surefoot.models.sdk.wrapped import autolog, http_client, wrap

__all__ = [
    "KEY_VARIABLES",
    "PLACEHOLDER_KEY",
    "VENDORS",
    "Admission",
    "Agreement",
    "Breakers",
    "Budgets",
    "Call",
    "CallTarget",
    "Cassette",
    "ClientSettings",
    "Confidence",
    "Connection",
    "Credential",
    "Endpoint",
    "Endpoints",
    "Escalation",
    "Fallback",
    "Judge",
    "Load",
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
    "Router",
    "Script",
    "Stated",
    "Target",
    "Template",
    "Tier",
    "Tiered",
    "TokenEstimate",
    "Trial",
    "Using",
    "Weight",
    "autolog",
    "available",
    "build_client",
    "capped",
    "cassettes",
    "client_settings",
    "connection_of",
    "embed",
    "estimated",
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
    "stated_target",
    "templates",
    "trying",
    "uninstall",
    "weigh",
    "wrap",
]
