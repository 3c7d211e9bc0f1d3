"""Receivers of traces by what they are: where each takes OTLP, what lets in there, and how a project is named.

What is not given is read from the receiver's own variables, so that whoever uses it already has to set nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from surefoot.errors import ConfigError
from surefoot.traces.mlflow import server_of
from surefoot.traces.mlflow.notes import Notes
from surefoot.traces.phoenix import Annotations
from surefoot.traces.targets import TRACES_PATH, Target, address_of, check_headers, otlp_target, resource_of

if TYPE_CHECKING:
    from surefoot.config import TraceSettings
    from surefoot.config.model import MlflowSettings

Speech = Literal["otlp", "mlflow", "langsmith", "langfuse", "phoenix"]
SPEECHES: tuple[Speech, ...] = get_args(Speech)

_LANGSMITH = "https://api.smith.langchain.com"
_LANGFUSE = "https://cloud.langfuse.com"
_PHOENIX = "http://localhost:6006"
_LANGFUSE_INGESTION = "4"
_MLFLOW_DEFAULT = "0"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver as options or settings name it; empty where its own variables are to say it."""

    to: Speech
    url: str | None = None
    project: str = ""
    key: str = field(default="", repr=False)
    public_key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    joins: bool | None = None
    """Whether traces of other systems are continued there; None: where those systems send theirs too, as to `otlp`."""

    @classmethod
    def of(cls, settings: TraceSettings) -> Receiver:
        """The one of the settings, with its secrets. Raises `ConfigError` where one cannot be read."""
        return cls(
            settings.to,
            settings.url.resolve() if settings.url is not None else None,
            settings.project,
            settings.key.resolve() if settings.key is not None else "",
            settings.public_key,
            {name: text.resolve() for name, text in settings.headers.items()},
            settings.join,
        )

    def target(self, settings: MlflowSettings, environ: Mapping[str, str]) -> Target:
        """Where and how it is sent to.

        MLflow is asked for the id of its experiment, which is made where there is none.

        Raises `InvalidInput`, `ConfigError` for a credential that is missing, and `ExportError` where MLflow does not
        answer.
        """
        check_headers(self._further)
        match self.to:
            case "mlflow":
                target = self._mlflow(settings, environ)
            case "langsmith":
                target = self._langsmith(environ)
            case "langfuse":
                target = self._langfuse(environ)
            case "phoenix":
                target = self._phoenix(environ)
            case _:
                target = otlp_target(self.url, environ=environ)
        joins = self.to == "otlp" if self.joins is None else self.joins
        return replace(target, headers={**target.headers, **self._further}, joins=joins)

    def metrics_target(self, environ: Mapping[str, str]) -> Target:
        """Where metrics go, of an `otlp` one. Raises as `target` does."""
        check_headers(self._further)
        target = otlp_target(self.url, environ=environ, signal="metrics")
        return replace(target, headers={**target.headers, **self._further})

    @property
    def _further(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _mlflow(self, settings: MlflowSettings, environ: Mapping[str, str]) -> Target:
        server = server_of(self.url, self.project, settings, environ)
        if server.experiment:
            experiment = server.experiment_id(server.experiment)
        else:
            experiment = environ.get("MLFLOW_EXPERIMENT_ID") or _MLFLOW_DEFAULT
        headers = {**server.headers, "x-mlflow-experiment-id": experiment}
        target = _target(server.url, TRACES_PATH, headers, environ)
        asked = replace(server, headers={**server.headers, **self._further})
        return replace(target, remarks=Notes(asked, experiment))

    def _langsmith(self, environ: Mapping[str, str]) -> Target:
        key = self._credential(environ, "LANGSMITH_API_KEY")
        project = self.project or environ.get("LANGSMITH_PROJECT") or "default"
        headers = {"x-api-key": key, "langsmith-project": project}
        if workspace := environ.get("LANGSMITH_WORKSPACE_ID"):
            headers["x-tenant-id"] = workspace
        url = self.url or environ.get("LANGSMITH_ENDPOINT") or _LANGSMITH
        return _target(url, "/otel/v1/traces", headers, environ)

    def _langfuse(self, environ: Mapping[str, str]) -> Target:
        public = self.public_key or environ.get("LANGFUSE_PUBLIC_KEY", "")
        if not public:
            raise ConfigError(
                "langfuse needs its public key: set LANGFUSE_PUBLIC_KEY, or public_key in [traces.NAME]"
            )
        secret = self._credential(environ, "LANGFUSE_SECRET_KEY")
        pair = base64.b64encode(f"{public}:{secret}".encode()).decode()
        headers = {
            "authorization": f"Basic {pair}",
            "x-langfuse-ingestion-version": _LANGFUSE_INGESTION,
        }
        url = self.url or environ.get("LANGFUSE_BASE_URL") or environ.get("LANGFUSE_HOST") or _LANGFUSE
        return _target(url, "/api/public/otel/v1/traces", headers, environ)

    def _phoenix(self, environ: Mapping[str, str]) -> Target:
        key = self.key or environ.get("PHOENIX_API_KEY", "")
        url = self.url or environ.get("PHOENIX_COLLECTOR_ENDPOINT") or _PHOENIX
        target = _target(url, TRACES_PATH, {"authorization": f"Bearer {key}"} if key else {}, environ)
        project = self.project or environ.get("PHOENIX_PROJECT_NAME") or "default"
        return replace(
            target,
            resource={**target.resource, "openinference.project.name": project},
            remarks=Annotations(target.url.removesuffix(TRACES_PATH), {**target.headers, **self._further}),
        )

    def _credential(self, environ: Mapping[str, str], variable: str) -> str:
        found = self.key or environ.get(variable, "")
        if not found:
            raise ConfigError(
                f'{self.to} needs its key: set {variable}, or key = "${{env:{variable}}}" in [traces.NAME]'
            )
        return found


def _target(url: str, path: str, headers: Mapping[str, str], environ: Mapping[str, str]) -> Target:
    check_headers(headers)
    return Target(address_of(url, path), headers, resource_of(environ))
