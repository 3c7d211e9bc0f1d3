"""Which models the gateway offers, by the names that clients ask for them by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from surefoot.app import App
from surefoot.errors import ConfigError, UnknownModel
from surefoot.models import Spoken, Target, speaking
from surefoot.models.chain.vendors import vendor_of_model

_LONGEST = 200
_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Offer:
    """A model by its name, and the connection that it is asked over."""

    name: str
    connection: str


def target_of(app: App, name: str, operation: Spoken) -> Target:
    """Where the calls of a model go that a client names, as an operation is asked of it.

    Raises `UnknownModel`, which tells nothing of what else there is, and `ConfigError` where its connection lacks
    something.
    """
    if len(name) > _LONGEST or not name.isprintable():
        raise UnknownModel("the name of the model is none: GET /v1/models lists those that there are")
    offered = app.config.gateway.models
    unknown = f"no model {name!r} is offered here: GET /v1/models lists those that you may ask for"
    if offered and not any(fnmatchcase(name, pattern) for pattern in offered):
        raise UnknownModel(unknown)
    try:
        target = app.target(name)
    except UnknownModel:
        raise UnknownModel(unknown) from None
    except ConfigError:
        # A provider that nobody has set up is not one that lacks something.
        if _is_set_up(app, name):
            raise
        raise UnknownModel(unknown) from None
    return speaking(target, operation)


def _is_set_up(app: App, name: str) -> bool:
    """Whether the settings have a connection that a name means, as it is, or by its provider."""
    connections = app.endpoints.connections
    means = name.partition(":")[0] if ":" in name else vendor_of_model(name)
    return means in connections or any(given.provider == means for given in connections.values())


def offers(app: App, may_use: Callable[[str], bool]) -> list[Offer]:
    """The models that are known by name, of the connections that somebody may use, by name."""
    found = (Offer(name, over) for name in _names(app) if (over := connection_of(app, name)) is not None)
    return [one for one in found if may_use(one.connection)]


def _names(app: App) -> list[str]:
    offered = app.config.gateway.models
    known = set(_configured(app))
    named = {name for name in offered if not _PATTERN.intersection(name)}
    if not offered:
        return sorted(known)
    return sorted(named | {name for name in known if any(fnmatchcase(name, one) for one in offered)})


def _configured(app: App) -> Iterator[str]:
    """What the settings name: aliases, the default, and the deployments of connections."""
    yield from app.config.models.aliases
    if app.config.models.default:
        yield app.config.models.default
    for name, connection in app.endpoints.connections.items():
        yield from (f"{name}:{model}" for model in connection.model_of)


def connection_of(app: App, name: str) -> str | None:
    """The connection that a model is asked over; None where that cannot be told."""
    try:
        return app.target(name).connection
    except (UnknownModel, ConfigError):
        return None
