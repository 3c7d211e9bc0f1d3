"""The sections of the settings, with their types, defaults and meanings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from surefoot.config.access import AccessSettings, OidcSettings
from surefoot.config.gateway import GatewaySettings
from surefoot.config.guards import GuardSettings
from surefoot.config.limits import Breaker, Budget, CacheSettings, Limit, RedisSettings
from surefoot.config.online import OnlineSettings
from surefoot.config.secret import Secret, SecretText
from surefoot.config.section import Dollars, Location, Names, Section, refuse_password
from surefoot.config.serve import ServeSettings
from surefoot.config.traces import TraceSettings
from surefoot.config.trust import TrustSettings
from surefoot.config.webhooks import EgressSettings, WebhookSettings
from surefoot.errors import InvalidInput
from surefoot.texts.patterns import compiled

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")

Provider: TypeAlias = Literal[
    "openai",
    "azure",
    "anthropic",
    "google",
    "cerebras",
    "deepseek",
    "fireworks",
    "groq",
    "huggingface",
    "mistral",
    "moonshotai",
    "openrouter",
    "perplexity",
    "together",
    "x-ai",
    "litellm",
    "llamacpp",
    "lmstudio",
    "ollama",
    "vllm",
    "openai-compatible",
]


_PERSONAL = ("email", "phone", "card", "iban", "ssn", "ip", "tax_id")


class LedgerSettings(Section):
    """The record of every run."""

    path: Location = Field(default=Path(".surefoot/ledger.db"), description="The SQLite file of the ledger.")
    url: str | None = Field(
        default=None,
        pattern=r"^postgres(ql)?://",
        description="A Postgres database that holds the ledger, in place of a file: `postgresql://USER@HOST/NAME`, "
        "without a password.",
    )
    secret_url: Secret | None = Field(
        default=None, description="The same by reference, in place of `url`, where it holds the password."
    )
    password: Secret | None = Field(default=None, description="The password that belongs to `url`.")
    outage: float = Field(
        default=30.0,
        ge=0,
        description="Seconds for which a Postgres server that was lost is waited for before runs stop.",
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="`full`: an outcome survives a power cut. `normal`: it survives a crash of the process, "
        "and commits are faster.",
    )
    inline_bytes: int = Field(
        default=4096,
        ge=0,
        description="Payloads up to this many bytes stand in their row, larger ones apart from it.",
    )
    body_seconds: float = Field(
        default=5.0,
        gt=0,
        description='How long the body of a step with `transaction="ledger"` may keep the writer to itself.',
    )

    @model_validator(mode="after")
    def _is_in_one_place(self) -> LedgerSettings:
        refuse_password(self.url)
        given = [name for name in ("path", "url", "secret_url") if name in self.model_fields_set]
        if len(given) > 1:
            raise ValueError(f"the ledger is in one place: remove all but one of {', '.join(given)}")
        return self


class PromptSettings(Section):
    """The library of prompts."""

    path: Location = Field(default=Path("prompts"), description="The folder that holds the prompt files.")
    files: Mapping[str, Location] = Field(
        default={},
        description="Folders, by any name, from which prompt files may take in others by `${file:}` and `base`, beside "
        "their own folder.",
    )
    endpoints: Mapping[str, str] = Field(
        default={},
        description="Addresses (`https://host`), by any name, to which a prompt file may send what `${env:NAME}` "
        "stands for in it, beside those of providers and of connections.",
    )
    label: str = Field(
        default="production",
        description="The label that a reference without `@` means, where the prompt has it.",
    )
    refresh: float = Field(
        default=5.0,
        ge=0,
        description="Seconds after which the labels in the ledger are read anew by a process that goes on.",
    )


class ModelSettings(Section):
    """What answers messages, and how calls to it are bounded."""

    aliases: Mapping[str, str] = Field(
        default={
            "gpt-4o": "local:smollm2",
            "gpt-4o-mini": "local:smollm2",
            "claude-sonnet-5": "local:smollm2",
        },
        description="Models that stand in for others, where the named provider has no credential. "
        "A table given here takes the place of the default one.",
    )
    default: str = Field(
        default="",
        description="The model that `generate` asks where neither the call nor its prompt names one: `NAME:MODEL`.",
    )
    retries: int = Field(default=2, ge=0, le=100, description="How often a failed call is tried again.")
    retry_cap: float = Field(
        default=20.0,
        gt=0,
        description="Seconds that a wait between two attempts takes at most, where the provider asks for no more.",
    )
    deadline: float = Field(
        default=600.0,
        gt=0,
        description="Seconds after which a call is given up, with all its attempts and waits; a stream has to begin by "
        "then.",
    )
    retry_share: float = Field(
        default=0.2,
        ge=0,
        le=100,
        description="How many retries all calls of a process to one provider may make together, as a share of its "
        "calls in the last minute.",
    )
    retry_reserve: int = Field(
        default=10, ge=0, description="How many retries a minute they may make beside that share."
    )


class Connection(Section):
    """A named endpoint with its credential by reference: its models are `<name>:MODEL`."""

    provider: Provider = Field(description="Whose endpoint it is, or which format it speaks.")
    base_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Its address; needed for `openai-compatible`, and for `azure` without `AZURE_OPENAI_ENDPOINT`.",
    )
    api_key: Secret | None = Field(
        default=None,
        description="Its credential, by reference; without one the provider's own variable holds, such as "
        "`OPENAI_API_KEY`.",
    )
    ad_token: Secret | None = Field(
        default=None, description="A bearer token in place of a key, such as one of Microsoft Entra."
    )
    api: Literal["chat", "responses"] = Field(
        default="chat", description="Which of OpenAI's two interfaces is spoken there."
    )
    api_version: str | None = Field(
        default=None,
        min_length=1,
        description="The version that is asked for (Azure, Anthropic, Google).",
    )
    organization: str | None = Field(default=None, description="OpenAI's organization.")
    project: str | None = Field(default=None, description="OpenAI's project.")
    headers: Mapping[str, SecretText] = Field(
        default={},
        description="Further headers; in their values secrets stand by reference, as in `Bearer ${env:TOKEN}`.",
    )
    timeout: float | None = Field(default=None, gt=0, description="Seconds that an attempt may take.")
    model_of: Mapping[str, str] = Field(
        default={},
        description="Which model a deployment is, so that its price is known.",
    )
    default: bool = Field(
        default=False, description="Whether it is meant by the provider's name, where there are several."
    )

    @model_validator(mode="after")
    def _is_reachable(self) -> Connection:
        if self.provider == "openai-compatible" and self.base_url is None:
            raise ValueError('provider "openai-compatible" needs a base_url')
        if self.api_key is not None and self.ad_token is not None:
            raise ValueError("a connection shows one credential: remove api_key or ad_token")
        if self.base_url is not None and (urlsplit(self.base_url).password or urlsplit(self.base_url).query):
            raise ValueError("base_url is an address alone: give credentials as api_key or headers")
        for name, text in self.headers.items():
            if _HEADER.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no name of a header")
            if name.lower() in _SECRET_HEADERS and not text.is_secret:
                raise ValueError(
                    f"the header {name} holds a credential: give it by reference, as in "
                    '"Bearer ${env:TOKEN}"'
                )
        return self


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"}
)


class Price(Section):
    """What a model costs, in dollars for a million tokens: exact decimals as text, such as "2.50".

    The name is `NAME:MODEL`, NAME a connection or provider, or `MODEL` alone; `vllm:*` are all models of `vllm`.
    Own prices go before list prices.
    """

    input: Dollars | None = Field(default=None, description="For input tokens.")
    cached: Dollars | None = Field(
        default=None, description="For input tokens that were read from the provider's cache; else as input."
    )
    cache_write: Dollars | None = Field(
        default=None, description="For input tokens that were written to it; else as input."
    )
    cache_write_1h: Dollars | None = Field(
        default=None, description="For those that are kept there for an hour; else as `cache_write`."
    )
    output: Dollars | None = Field(default=None, description="For output tokens.")
    reasoning: Dollars | None = Field(
        default=None, description="For output tokens of reasoning; else as output."
    )
    request: Dollars | None = Field(default=None, description="Dollars for each request, beside its tokens.")

    @model_validator(mode="after")
    def _says_something(self) -> Price:
        if self.input is None and self.output is None and self.request is None:
            raise ValueError("a price needs input, output or request")
        return self


class Database(Section):
    """A database of your own, for transaction steps."""

    url: str | None = Field(
        default=None,
        pattern=r"^(sqlite:///|postgres(ql)?://)",
        description="Its address, without a password: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.",
    )
    secret_url: Secret | None = Field(
        default=None, description="Its address by reference, in place of `url`, where it holds the password."
    )
    password: Secret | None = Field(default=None, description="The password that belongs to `url`.")
    pool_size: int = Field(
        default=10, ge=1, description="Connections to it that one process may use at a time (Postgres)."
    )
    untrusted: Literal["allow", "refuse"] = Field(
        default="allow",
        description="What steps that write there may be given: any values, or none that come of untrusted text, as for "
        "a step that sends.",
    )

    @model_validator(mode="after")
    def _has_one_address(self) -> Database:
        if (self.url is None) == (self.secret_url is None):
            raise ValueError("a database needs one of url and secret_url")
        refuse_password(self.url)
        return self


class LocalSettings(Section):
    """The embedded model."""

    threads: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Threads it computes with; more than one spins if others compute.",
    )
    context: int = Field(default=4096, ge=256, description="Tokens that prompt and answer may have together.")


class RetrievalSettings(Section):
    """Collections of documents."""

    path: Location = Field(
        default=Path(".surefoot/collections"), description="The folder that holds the collections."
    )
    embedder: str = Field(default="local:minilm", min_length=1, description="What turns text into vectors.")
    tenants: Literal["shared", "own"] = Field(
        default="shared",
        description="Which collections runs of a tenant see: those of the project, which all tenants share, or `own`, "
        "which are seen by runs of that tenant alone.",
    )


class PrivacySettings(Section):
    """What is hidden from people, what is sealed, and with which key."""

    pii: bool = Field(
        default=False,
        description="Whether personal data is looked for, and a pseudonym shown in its place. Secrets always are "
        "hidden.",
    )
    kinds: Names = Field(
        default=_PERSONAL,
        description="Which kinds of it: `email`, `phone`, `card`, `iban`, `ssn`, `ip`, `tax_id`.",
    )
    patterns: Mapping[str, str] = Field(
        default={},
        description="Further kinds, by a name of yours, as a pattern of RE2; what its first group takes is hidden, "
        'else all of it, as in `badge = "ACME-[0-9]{6}"`. They are looked for in any case.',
    )
    allow: Names = Field(
        default=(),
        description="Texts that are hidden nowhere, such as `info@acme.example`; capitals do not count.",
    )
    capture: Literal["none", "metadata", "redacted", "full"] = Field(
        default="redacted",
        description="What people may read of what flows and steps take and give, where they do not say so: nothing, "
        "kind and size, what is left of it, or all but secrets.",
    )

    key_file: Location = Field(
        default=Path(".surefoot/key"),
        description="The file of the key that seals payloads, made on first use. The environment variable "
        "`SUREFOOT_KEY` goes before it.",
    )

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [kind for kind in kinds if kind not in _PERSONAL]:
            raise ValueError(f"{unknown[0]!r} is no kind of personal data: there are {', '.join(_PERSONAL)}")
        return kinds

    @field_validator("patterns")
    @classmethod
    def _are_patterns(cls, patterns: Mapping[str, str]) -> Mapping[str, str]:
        for name, pattern in patterns.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) or name in (*_PERSONAL, "secret"):
                raise ValueError(
                    f"a pattern of yours is called {name!r}: give it a name of small letters, digits and _ that no "
                    "kind has"
                )
            try:
                found = compiled(pattern).search("")
            except InvalidInput as error:
                raise ValueError(f"{name}: {error}") from None
            if found is not None:
                raise ValueError(
                    f"{name}: {pattern!r} matches the empty text: let it ask for one character at least"
                )
        return patterns


class RunSettings(Section):
    """How runs are held."""

    lease: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Seconds after which another process may take over a run whose owner is silent, 3600 at most.",
    )
    deadline: float | None = Field(
        default=None,
        gt=0,
        description="Seconds from its start after which a run fails, unless it or its flow says otherwise.",
    )
    max_steps: int = Field(default=100_000, ge=1, description="How many steps a run may take.")
    max_calls: int = Field(default=10_000, ge=1, description="How many model calls a run may make.")
    max_cost: Dollars = Field(
        default=Decimal(100),
        description="Dollars after which a run makes no further call. Calls under way may exceed it: a budget does not "
        "let them.",
    )
    max_input_bytes: int = Field(
        default=32_000_000,
        ge=1,
        description="How many bytes the inputs of a run may have together, as they are recorded; also an event that is "
        "sent to a run.",
    )
    hidden: Literal["refuse", "strip", "allow"] = Field(
        default="refuse",
        description="What becomes of inputs with text that no reader sees (tag characters, overrides of direction, "
        "zero-width characters and variation selectors that carry data): the run is not begun, or they are taken out.",
    )
    max_depth: int = Field(
        default=50, ge=1, description="How many steps and flows may lie inside each other."
    )
    verify: bool = Field(
        default=True,
        description="Whether the record of a run is verified before somebody goes on with it: its hash chain, and the "
        "MAC over its head. Without it a run is taken as it stands, and has a new MAC from there on.",
    )
    strict: bool = Field(
        default=False,
        description="Whether each fresh result is restored at once, and fails its step if it is another value.",
    )


class RetentionSettings(Section):
    """What `surefoot ledger prune` drops of runs that have ended, by their age in days; by default nothing."""

    details: int | None = Field(
        default=None,
        ge=1,
        description="Days after which the details of a run go, such as which steps had begun.",
    )
    payloads: int | None = Field(
        default=None,
        ge=1,
        description="Days after which inputs and outputs go. Figures, names and the chain stay; the run cannot be "
        "resumed any more.",
    )
    runs: int | None = Field(
        default=None, ge=1, description="Days after which all of a run goes but its line in the list of runs."
    )


class NotebookSettings(Section):
    """Runs in a notebook."""

    progress: bool = Field(
        default=True,
        description="Whether a cell shows the progress of its runs, and a card of each at its end.",
    )


class EvalSettings(Section):
    """Evaluations."""

    datasets: Location = Field(
        default=Path("datasets"),
        description="The folder whose dataset files `surefoot ui` lists for review, beside those next to an "
        "`evaluation.py`.",
    )
    ragas: Location = Field(
        default=Path(".surefoot/ragas"),
        description="The folder of the environment that ragas runs in, made by `surefoot ragas setup`.",
    )


class MlflowSettings(Section):
    """The MLflow server for experiments and prompts. What is not given is read from MLflow's own variables."""

    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Its address, without a password; else `MLFLOW_TRACKING_URI`.",
    )
    experiment: str = Field(
        default="",
        description="The experiment there that runs belong to; else `MLFLOW_EXPERIMENT_NAME`, else the flow's name.",
    )
    token: Secret | None = Field(
        default=None, description="A bearer token, by reference; else `MLFLOW_TRACKING_TOKEN`."
    )
    username: str = Field(default="", description="A user's name; else `MLFLOW_TRACKING_USERNAME`.")
    password: Secret | None = Field(
        default=None, description="The user's password, by reference; else `MLFLOW_TRACKING_PASSWORD`."
    )

    @model_validator(mode="after")
    def _shows_one_credential(self) -> MlflowSettings:
        refuse_password(self.url)
        if self.token is not None and (self.username or self.password is not None):
            raise ValueError("one credential is shown: remove token, or username and password")
        return self


class GateSettings(Section):
    """A gate that versions of prompts have to pass before a label is moved to them."""

    file: Location = Field(description="The gate: a YAML file with its rules.")
    prompts: Names = Field(
        default=("*",), description="Which prompts it is asked about; `*` stands for any characters."
    )
    labels: Names = Field(default=("production",), description="Which labels it guards.")


class Config(Section):
    """All settings. The defaults are complete: no file is needed."""

    ledger: LedgerSettings = LedgerSettings()
    prompts: PromptSettings = PromptSettings()
    models: ModelSettings = ModelSettings()
    connections: Mapping[str, Connection] = {}
    prices: Mapping[str, Price] = {}
    databases: Mapping[str, Database] = {}
    local: LocalSettings = LocalSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    privacy: PrivacySettings = PrivacySettings()
    guards: GuardSettings = GuardSettings()
    trust: TrustSettings = TrustSettings()
    access: AccessSettings = AccessSettings()
    oidc: OidcSettings = OidcSettings()
    serve: ServeSettings = ServeSettings()
    gateway: GatewaySettings = GatewaySettings()
    runs: RunSettings = RunSettings()
    budgets: Mapping[str, Budget] = {}
    limits: Mapping[str, Limit] = {}
    breakers: Mapping[str, Breaker] = {}
    cache: CacheSettings = CacheSettings()
    redis: RedisSettings = RedisSettings()
    egress: EgressSettings = EgressSettings()
    webhooks: Mapping[str, WebhookSettings] = {}
    traces: Mapping[str, TraceSettings] = {}
    retention: RetentionSettings = RetentionSettings()
    notebook: NotebookSettings = NotebookSettings()
    gates: Mapping[str, GateSettings] = {}
    evals: EvalSettings = EvalSettings()
    online: Mapping[str, OnlineSettings] = {}
    mlflow: MlflowSettings = MlflowSettings()

    @field_validator("webhooks", "traces")
    @classmethod
    def _are_names(cls, value: Mapping[str, Section]) -> Mapping[str, Section]:
        for name in value:
            if _NAME.fullmatch(name) is None:
                raise ValueError(f"{name!r} is no name: it takes letters, digits, `-`, `_` and `.`")
        return value
