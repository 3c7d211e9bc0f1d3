"""What an app is made of: each part wired by the settings, and most made when they are first asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from surefoot import flows, models, scope
from surefoot import ledger as records
from surefoot.errors import ConfigError
from surefoot.locks import made_once

if TYPE_CHECKING:
    from surefoot import limits, prompts, retrieval
    from surefoot.accessing.access import Access
    from surefoot.addresses import Egress
    from surefoot.config import Loaded
    from surefoot.guards.checking import CustomGuard
    from surefoot.ledger import Ledger
    from surefoot.limits.rates import Rates
    from surefoot.models import Policy
    from surefoot.models.local import EmbeddedServer
    from surefoot.models.posting import Posted
    from surefoot.texts.fences import Fences


class Inventory:
    """Settings, ledger, prompts, models, limits, guards and collections of one project."""

    def __init__(self, settings: Loaded | None = None) -> None:
        """Raises `ConfigError`. Nothing is opened or started before it is needed."""
        # Whoever only defines flows and names the app need not import the rooms that it is made of, nor pydantic.
        from surefoot import guarding, wiring
        from surefoot.config import load
        from surefoot.endpoints import ProjectEndpoints
        from surefoot.guards import InEnvironment

        self.settings = settings or load()
        config = self.config = self.settings.config
        vault = self.settings.vault
        keys = {*models.KEY_VARIABLES, "SUREFOOT_KEY", *vault.variables}
        known = vault.known, InEnvironment(sorted(keys))
        self.keyring = records.Keyring(config.privacy.key_file, key=os.environ.get("SUREFOOT_KEY"))
        self.finder = wiring.finder_of(config.privacy, self.keyring, *known)
        """What finds secrets and personal data, in all that is recorded and sent."""
        scope.mask_logs(self.finder)
        payloads = records.Payloads(
            self.keyring,
            privacy=self.finder,
            secrecy=self.finder.secrets_only(),
            inline_bytes=config.ledger.inline_bytes,
        )
        self.ledger: Ledger = wiring.ledger_of(config.ledger, payloads, vault)
        self.keeper = flows.Keeper(self.ledger, lease_seconds=config.runs.lease)
        self.budgeting = wiring.budgets_of(config, self.ledger)
        """The budgets of model calls; None where there are none."""
        self.is_strict = config.runs.strict
        """Whether each fresh result is restored from its record at once, and fails its step if it is another value."""
        self.is_quiet = not config.notebook.progress
        """Whether runs in a notebook are not shown in their cell."""
        self.breakers = wiring.breakers_of(config, self.redis)
        """The circuit breakers of this project: those of models' endpoints, and those that steps and code name."""
        self.guards = guarding.guards_of(
            config,
            secrets=self.finder.secrets_only(),
            known=known,
            keyring=self.keyring,
            # Its key is asked for when it is first needed.
            canary=lambda tenant, digest: self.fences.canary(tenant, digest),  # noqa: PLW0108
        )
        """The guards around model calls."""
        self.endpoints = ProjectEndpoints(self.settings, lambda: self.embedded)
        self.policy: Policy = wiring.policy_of(
            config,
            self.endpoints,
            budgets=self.budgeting,
            admission=self.rates,
            breakers=self.breakers.endpoints,
            cache=self.answers,
            guards=self.guards,
        )

    @made_once
    def prompts(self) -> prompts.Library:
        """The prompts of this project."""
        from surefoot import wiring

        return wiring.library_of(
            self.config.prompts, self.ledger, self.settings.root, gates=self.config.gates
        )

    @made_once
    def fences(self) -> Fences:
        """What stands in prompts around texts that come from outside."""
        from surefoot import wiring

        return wiring.fences_of(self.config, self.keyring)

    @made_once
    def access(self) -> Access:
        """Who may do what here: people, roles, tokens, published flows, and the audit of it."""
        from surefoot.accessing.access import Access

        config = self.config
        return Access(self.ledger, config.access, config.oidc, self.keyring, project=self.settings.root.name)

    @made_once
    def egress(self) -> Egress:
        """What may be connected to where an address comes from somebody else (`[egress]`)."""
        from surefoot.addresses import Egress

        settings = self.config.egress
        return Egress(settings.allow_private, settings.hosts)

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 10.0,
        most: int = 1_000_000,
    ) -> Posted:
        """Send a request to an address that a user, a document or a model has chosen, where `[egress]` allows it.

        It leads to the public internet, over `https:`, or to what `allow_private` names; whatever a name resolves to
        and wherever it redirects, each address is looked at before it is connected to. most: bytes of the answer that
        are read; timeout: seconds for all of it.

        Gives `status`, `headers` (names in small letters) and `body`. Raises `AddressRefused`, `AccessDenied` in a run
        that may not ask that host, and `OSError` where no answer came.
        """
        from surefoot.models.fetching import fetch

        here = scope.current()

        def require(host: str) -> None:
            # What a run is confined to holds for whatever leaves it.
            if here is not None:
                here.require_use("host", host)

        return fetch(
            url,
            rules=self.egress,
            require=require,
            method=method,
            headers=headers,
            body=body,
            timeout=timeout,
            most=most,
        )

    @made_once
    def home(self) -> retrieval.Home:
        """The document collections of this project, with the embedder that fits them."""
        if self.config.retrieval.embedder != "local:minilm":
            raise ConfigError(
                f"retrieval.embedder is {self.config.retrieval.embedder!r}; this version embeds with 'local:minilm'"
            )
        from surefoot import retrieval
        from surefoot.models.local import MiniLM

        return retrieval.Home(self.config.retrieval.path, MiniLM())

    @property
    def home_here(self) -> retrieval.Home:
        """The collections that the code here sees: those of its run's tenant, where tenants have their own."""
        here = scope.current()
        tenant = "" if here is None else here.caller.tenant
        if not tenant or self.config.retrieval.tenants == "shared":
            return self.home
        # A tenant may be called anything, and its name is nothing for a list of files.
        return self.home.apart(self.keyring.derive(f"collections of {tenant}").hex()[:32])

    @made_once
    def databases(self) -> flows.Databases:
        """The databases of this project's transaction steps, each opened at its first use."""
        from surefoot.config import Database, LedgerSettings

        def address(given: Database | LedgerSettings) -> flows.Address:
            url = given.url or ""
            pool_size = given.pool_size if isinstance(given, Database) else 10
            if given.secret_url is not None:
                return flows.Address(given.secret_url.resolve, pool_size)
            if (password := given.password) is None:
                return flows.Address(lambda: url, pool_size)
            head, _, tail = url.partition("@")
            return flows.Address(lambda: f"{head}:{quote(password.resolve(), safe='')}@{tail}", pool_size)

        addresses = {name: address(given) for name, given in self.config.databases.items()}
        if self.config.ledger.url is not None or self.config.ledger.secret_url is not None:
            addresses[flows.LEDGER] = address(self.config.ledger)
        return flows.Databases(
            addresses, root=self.settings.root, body_seconds=self.config.ledger.body_seconds
        )

    @made_once
    def redis(self) -> limits.SharedRedis | None:
        """The Redis server that limits, breakers and the cache are shared by; None where the settings name none."""
        from surefoot import wiring

        return wiring.redis_of(self.config)

    @made_once
    def rates(self) -> Rates | None:
        """The limits of requests, tokens and calls at a time, over Redis where there is one; None without limits."""
        from surefoot import wiring

        return wiring.rates_of(self.config, self.redis) if self.config.limits else None

    @made_once
    def answers(self) -> limits.AnswerCache | None:
        """Answers of models that are given again; None where none are."""
        from surefoot import wiring

        return wiring.answers_of(self.config.cache, self.ledger, self.keyring, self.redis)

    @made_once
    def embedded(self) -> EmbeddedServer:
        """The embedded model's server, which starts at its first use."""
        from surefoot.models.local import shared_server

        return shared_server(context=self.config.local.context, threads=self.config.local.threads)

    def guard(self, function: CustomGuard, *, name: str = "") -> None:
        """Let a function look at every text that models are sent and answer, from now on.

        It is given the text and where it stands (`message 2`, `output`), sync or async, and returns None or True where
        the text may pass, False where not, another text that takes its place, or a `Decision`. How long it may take,
        and what becomes of a call where it fails, is in `[guards]`; guards that are modules' functions can be named
        there too (`custom`).
        """
        self.guards.add(function, name=name)
