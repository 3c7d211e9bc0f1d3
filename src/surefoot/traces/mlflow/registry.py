"""The prompts that an MLflow server has: their versions by our digests, new versions, and aliases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surefoot.errors import InvalidInput
from surefoot.traces.mlflow.server import Refused, Server, number, part
from surefoot.values import Json

DIGEST = "surefoot.digest"
"""The tag by which a version is found again."""

_IS_PROMPT = "mlflow.prompt.is_prompt"
_EXPERIMENTS = "_mlflow_experiment_ids"
# A version has to come from somewhere; this is what MLflow's own client says of prompts.
_SOURCE = "dummy-source"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_MOST_VERSIONS = "1000"


@dataclass(frozen=True, slots=True)
class Entry:
    """A version to register. `tags` are MLflow's own and ours, its text among them."""

    name: str
    digest: str
    description: str
    tags: Mapping[str, str]


class Registry:
    """The prompts of a server. Everything raises `ExportError`, of which `Refused` is the server's own word."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def numbers(self, name: str, digest: str) -> list[int]:
        """The numbers of the versions with a digest, in order; there is one, or none."""
        if not _NAME.fullmatch(name):
            return []
        said = self._server.get(
            "model-versions/search",
            filter=f"name='{name}' AND tag.`{DIGEST}` = '{digest}' AND tag.`{_IS_PROMPT}` = 'true'",
            max_results=_MOST_VERSIONS,
        )
        found: list[dict[str, Any]] = said.get("model_versions") or []
        return sorted(number(each, "version") for each in found)

    def register(self, version: Entry) -> tuple[int, bool]:
        """The number that a version has there, and whether it is new.

        Of two who register the same at once one takes its own away again: the lower number stays. Raises
        `InvalidInput` for a name that MLflow does not take, or that is the name of a model there.
        """
        _check_name(version.name)
        if found := self.numbers(version.name, version.digest):
            return found[0], False
        self._make(version)
        tags = {_IS_PROMPT: "true", DIGEST: version.digest, **version.tags}
        made = self._server.post(
            "model-versions/create",
            name=version.name,
            source=_SOURCE,
            description=version.description,
            tags=_pairs(tags),
        )
        own = number(made, "model_version", "version")
        first, *_ = *self.numbers(version.name, version.digest), own
        if first < own:
            self._server.send("DELETE", "model-versions/delete", {"name": version.name, "version": str(own)})
        return min(first, own), first >= own

    def point(self, name: str, alias: str, number: int) -> None:
        """Let an alias mean a version."""
        self._server.post("registered-models/alias", name=name, alias=alias, version=str(number))

    def show_in(self, name: str, experiment_id: str) -> None:
        """Let a prompt be listed among those of an experiment."""
        shown = _tags(self._prompt(name)).get(_EXPERIMENTS, "")
        ids = [each for each in shown.split(",") if each]
        if experiment_id not in ids:
            value = f",{','.join([*ids, experiment_id])},"
            self._server.post("registered-models/set-tag", name=name, key=_EXPERIMENTS, value=value)

    def _make(self, version: Entry) -> None:
        """See to it that there is a prompt of this name."""
        try:
            self._server.post(
                "registered-models/create",
                name=version.name,
                description=version.description,
                tags=_pairs({_IS_PROMPT: "true"}),
            )
        except Refused as refused:
            if refused.code != "RESOURCE_ALREADY_EXISTS":
                raise
            # MLflow says the same of a model of this name.
            if _IS_PROMPT not in _tags(self._prompt(version.name)):
                raise InvalidInput(
                    f"{version.name!r} is the name of a model in MLflow, and no prompt can have it: rename one of them"
                ) from None

    def _prompt(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = part(self._server.get("registered-models/get", name=name), "registered_model")
        return found


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is no name of a prompt in MLflow, which takes letters, digits, `.`, `_` and `-`: "
            "give the prompt another name"
        )


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    tags: list[dict[str, Any]] = found.get("tags") or []
    return {str(tag["key"]): str(tag.get("value", "")) for tag in tags}


def _pairs(found: Mapping[str, str]) -> list[Json]:
    return [{"key": name, "value": value} for name, value in found.items()]
