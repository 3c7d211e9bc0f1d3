"""The settings of Surefoot: found, checked, and known by their origin."""

from surefoot.config.loading import load
from surefoot.config.model import (
    Config,
    Connection,
    Database,
    LedgerSettings,
    LocalSettings,
    ModelSettings,
    PrivacySettings,
    PromptSettings,
    Provider,
    RetentionSettings,
    RetrievalSettings,
    RunSettings,
)
from surefoot.config.pages import reference, template
from surefoot.config.secret import Secret
from surefoot.config.state import Loaded, Setting

__all__ = [
    "Config",
    "Connection",
    "Database",
    "LedgerSettings",
    "Loaded",
    "LocalSettings",
    "ModelSettings",
    "PrivacySettings",
    "PromptSettings",
    "Provider",
    "RetentionSettings",
    "RetrievalSettings",
    "RunSettings",
    "Secret",
    "Setting",
    "load",
    "reference",
    "template",
]
