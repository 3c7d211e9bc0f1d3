"""The settings of Surefoot: found, checked, and known by their origin."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.config.access import AccessSettings as AccessSettings
    from surefoot.config.access import OidcSettings as OidcSettings
    from surefoot.config.gateway import GatewaySettings as GatewaySettings
    from surefoot.config.guards import GuardRules as GuardRules
    from surefoot.config.guards import GuardSettings as GuardSettings
    from surefoot.config.limits import Breaker as Breaker
    from surefoot.config.limits import Budget as Budget
    from surefoot.config.limits import CacheSettings as CacheSettings
    from surefoot.config.limits import Limit as Limit
    from surefoot.config.limits import RedisSettings as RedisSettings
    from surefoot.config.loading import load as load
    from surefoot.config.model import Config as Config
    from surefoot.config.model import Connection as Connection
    from surefoot.config.model import Database as Database
    from surefoot.config.model import GateSettings as GateSettings
    from surefoot.config.model import LedgerSettings as LedgerSettings
    from surefoot.config.model import LocalSettings as LocalSettings
    from surefoot.config.model import ModelSettings as ModelSettings
    from surefoot.config.model import Price as Price
    from surefoot.config.model import PrivacySettings as PrivacySettings
    from surefoot.config.model import PromptSettings as PromptSettings
    from surefoot.config.model import Provider as Provider
    from surefoot.config.model import RetentionSettings as RetentionSettings
    from surefoot.config.model import RetrievalSettings as RetrievalSettings
    from surefoot.config.model import RunSettings as RunSettings
    from surefoot.config.pages import reference as reference
    from surefoot.config.pages import template as template
    from surefoot.config.secret import Secret as Secret
    from surefoot.config.secret import SecretText as SecretText
    from surefoot.config.secret import Vault as Vault
    from surefoot.config.serve import ServeSettings as ServeSettings
    from surefoot.config.state import Loaded as Loaded
    from surefoot.config.state import Setting as Setting
    from surefoot.config.traces import TraceSettings as TraceSettings
    from surefoot.config.webhooks import EVENTS as EVENTS
    from surefoot.config.webhooks import EgressSettings as EgressSettings
    from surefoot.config.webhooks import WebhookSettings as WebhookSettings
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "access": ["AccessSettings", "OidcSettings"],
            "gateway": ["GatewaySettings"],
            "guards": ["GuardRules", "GuardSettings"],
            "limits": ["Breaker", "Budget", "CacheSettings", "Limit", "RedisSettings"],
            "loading": ["load"],
            "model": [
                "Config",
                "Connection",
                "Database",
                "GateSettings",
                "LedgerSettings",
                "LocalSettings",
                "ModelSettings",
                "Price",
                "PrivacySettings",
                "PromptSettings",
                "Provider",
                "RetentionSettings",
                "RetrievalSettings",
                "RunSettings",
            ],
            "pages": ["reference", "template"],
            "secret": ["Secret", "SecretText", "Vault"],
            "serve": ["ServeSettings"],
            "state": ["Loaded", "Setting"],
            "traces": ["TraceSettings"],
            "webhooks": ["EVENTS", "EgressSettings", "WebhookSettings"],
        },
    )
