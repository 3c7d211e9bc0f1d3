"""The settings of Surefoot: found, checked, and known by their origin."""

from surefoot.config.loading import load
from surefoot.config.model import (
    Config,
    Connection,
    Database,
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
from surefoot.config.secret import Secret, SecretText
from surefoot.config.state import Loaded, Setting

__all__ = [
    "Config",
    "Connection",
    "Database",
    "LedgerSettings",
    "Loaded",
    "LocalSettings",
    "ModelSettings",
    "Price",
    "PrivacySettings",
    "PromptSettings",
    "Provider",
    "RetentionSettings",
    "RetrievalSettings",
    "RunSettings",
    "Secret",
    "SecretText",
    "Setting",
    "load",
    "reference",
    "template",
]
