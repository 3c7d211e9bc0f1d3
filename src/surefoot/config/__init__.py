"""The settings of Surefoot: found, checked, and known by their origin."""

from surefoot.config.limits import Breaker, Budget, CacheSettings, Limit, RedisSettings
from surefoot.config.loading import load
from surefoot.config.model import (
    Config,
    Connection,
    Database,
    GateSettings,
    LedgerSettings,
    LocalSettings,
    ModelSettings,
    Price,
    PrivacySettings,
    PromptSettings,
    Provider,
    RetentionSettings,
    RetrievalSettings,
    RunSettings,
)
from surefoot.config.pages import reference, template
from surefoot.config.secret import Secret, SecretText, Vault
from surefoot.config.state import Loaded, Setting

__all__ = [
    "Breaker",
    "Budget",
    "CacheSettings",
    "Config",
    "Connection",
    "Database",
    "GateSettings",
    "LedgerSettings",
    "Limit",
    "Loaded",
    "LocalSettings",
    "ModelSettings",
    "Price",
    "PrivacySettings",
    "PromptSettings",
    "Provider",
    "RedisSettings",
    "RetentionSettings",
    "RetrievalSettings",
    "RunSettings",
    "Secret",
    "SecretText",
    "Setting",
    "Vault",
    "load",
    "reference",
    "template",
]
