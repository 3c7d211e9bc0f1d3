"""Where a call goes: to the host the client names, or over a route to another one that serves an alias."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from surefoot.errors import UnknownModel
from surefoot.models.chain.guarding import Guards
from surefoot.models.chain.limits import Admission, AnswerCache, Breakers, Budgets
from surefoot.models.chain.operations import TEXT_OPERATIONS
from surefoot.models.chain.prices import PriceList
from surefoot.models.chain.retries import Retries
from surefoot.models.chain.retry_budget import RetryBudget
from surefoot.scope import Slot

if TYPE_CHECKING:
    from surefoot.models.chain.addresses import Addresses
    from surefoot.models.chain.connections import Target
    from surefoot.models.chain.stated import Stated

PLACEHOLDER_KEY = "local"
"""The API key of a client that was built without a credential."""

_CREDENTIAL_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_NOT_ROUTED = frozenset(
    {*_CREDENTIAL_HEADERS, "host", "content-length", "cookie", "openai-organization", "openai-project"}
)


@dataclass(frozen=True, slots=True)
class CallTarget:
    """What a call asks for: `provider` whose wire format it speaks, the model as the user wrote it."""

    provider: str
    requested_model: str
    has_credential: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that answers. `base_url` ends before the operation's path (`http://127.0.0.1:4711/v1`).

    `check` is given the body and the operation's path (`/chat/completions`) before a request is sent, and raises
    `ContextOverflow` if it cannot fit.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    check: Callable[[Mapping[str, object], str], None] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Another model that serves a call, as `provider:model` (`local:smollm2`).

    `connect` is asked before each attempt and may block (it starts a server that is not there); async callers
    run it in a worker thread. `operations` are the names of those that the endpoint answers.
    """

    served_model: str
    connect: Callable[[], Endpoint]
    operations: frozenset[str] = TEXT_OPERATIONS


class Endpoints(Protocol):
    """Which calls take a route: aliases without a credential, and models that are named `local:` outright."""

    def route(self, call: CallTarget, /) -> Route | None:
        """The route of a call, or None to let it go where its client sends it. Cheap: asked at every call."""
        ...


class NoRoutes:
    """Every call goes where its client sends it."""

    def route(self, call: CallTarget, /) -> Route | None:  # noqa: ARG002
        """No route."""
        return None


def _no_target(reference: str) -> Target:
    raise UnknownModel(f"model {reference!r} cannot be called: no connections are set up")


def _no_stated(stated: Stated, model: str) -> Target:  # noqa: ARG001
    raise UnknownModel(f"model {model!r} cannot be called: no connections are set up")


@dataclass(frozen=True, slots=True)
class Policy:
    """What the chain of model calls is given by the composition root.

    `target` says where the calls of a model reference go, `stated` where those of a model go at an endpoint that a
    prompt file describes; both raise `UnknownModel` and `ConfigError`. `default` is the model that is asked where
    nobody names one. `budget` is of retries; `budgets` are of money. Where there are no budgets, no rate limits
    (`admission`), no breakers, no `cache` or no `guards`, nothing is asked of them.
    """

    endpoints: Endpoints = field(default_factory=NoRoutes)
    retries: Retries = field(default_factory=Retries)
    budget: RetryBudget = field(default_factory=RetryBudget)
    prices: PriceList = field(default_factory=PriceList)
    target: Callable[[str], Target] = _no_target
    stated: Callable[[Stated, str], Target] = _no_stated
    default: str = ""
    budgets: Budgets | None = None
    admission: Admission | None = None
    breakers: Breakers | None = None
    cache: AnswerCache | None = None
    guards: Guards | None = None
    addresses: Addresses | None = None
    """Which connections there are, for runs that may not use all of them; None where calls are the project's own."""
    local_context: int | None = None
    """Tokens that prompt and answer of the embedded model may have together."""


policy: Slot[Policy] = Slot("policy for model calls")


def has_credential(headers: Mapping[str, str]) -> bool:
    """Whether a request carries a key of its provider: one that is neither empty nor the placeholder."""
    for name in _CREDENTIAL_HEADERS:
        value = headers.get(name, "").strip()
        if value.lower().startswith("bearer"):
            value = value[len("bearer") :].strip()
        if value and value != PLACEHOLDER_KEY:
            return True
    return False


def routed_headers(headers: Mapping[str, str], endpoint: Endpoint) -> dict[str, str]:
    """The headers of a routed request: no credential, cookie, account, host or length of the client goes along."""
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in _NOT_ROUTED}
    return kept | {name.lower(): value for name, value in endpoint.headers.items()}
