"""An MLflow server: where it is, who asks, and one request to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlencode, urlsplit

import orjson

from surefoot.errors import ConfigError, ExportError, InvalidInput
from surefoot.models.chain.retries import Retries
from surefoot.models.posting import Posted
from surefoot.traces.asking import WORTH_RETRYING, ask, asked_to_wait, printable, why_unreachable
from surefoot.traces.targets import check_headers
from surefoot.values import Json

if TYPE_CHECKING:
    from surefoot.config.model import MlflowSettings

PATIENCE = Retries(count=5, base=0.5, cap=10.0, deadline=60.0)

Version = Literal["2.0", "3.0"]
"""Of the API: traces and what is said of them are in 3.0, all else in 2.0."""

_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class Refused(ExportError):
    """The server answered with an error. `code` is its own name for it."""

    def __init__(self, message: str, code: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, status=status, retry_after=retry_after)
        self.code = code


@dataclass(frozen=True, slots=True)
class Server:
    """An MLflow server. `headers` may hold credentials, so they are not shown."""

    url: str
    experiment: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout: float = 30.0
    patience: Retries = PATIENCE

    def get(self, path: str, *, version: Version = "2.0", **query: str) -> dict[str, Any]:
        """Ask for something. Raises `ExportError`, of which `Refused` is its own word."""
        asked = f"{path}?{urlencode(query)}" if query else path
        return _json(self._answer("GET", _api(version, asked), None, {}))

    def post(self, path: str, **body: Json) -> dict[str, Any]:
        """Ask it to do something that does no harm twice. Raises as `get` does."""
        return self.send("POST", path, body)

    def send(
        self,
        method: Literal["POST", "PATCH", "DELETE"],
        path: str,
        body: Mapping[str, Json],
        *,
        version: Version = "2.0",
    ) -> dict[str, Any]:
        """Ask it to do something that does no harm twice. Raises as `get` does."""
        content = orjson.dumps(dict(body))
        return _json(self._answer(method, _api(version, path), content, {"content-type": "application/json"}))

    def put_artifact(self, path: str, body: bytes) -> None:
        """Store a file through the server. Raises as `get` does."""
        self._answer("PUT", _ARTIFACTS + path, body, {"content-type": "application/octet-stream"})

    def experiment_id(self, name: str) -> str:
        """The id of the experiment of this name, which is made where there is none. Raises as `get` does."""
        try:
            return _id_of(self.get("experiments/get-by-name", experiment_name=name))
        except Refused as refused:
            if refused.code != "RESOURCE_DOES_NOT_EXIST":
                raise
        try:
            return str(part(self.post("experiments/create", name=name), "experiment_id"))
        except Refused as refused:
            # Somebody else made it meanwhile.
            if refused.code != "RESOURCE_ALREADY_EXISTS":
                raise
            return _id_of(self.get("experiments/get-by-name", experiment_name=name))

    def _answer(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Posted:
        return ask(
            method,
            self.url + path,
            body,
            headers={"user-agent": f"surefoot/{version('surefoot')}", **self.headers, **headers},
            timeout=self.timeout,
            patience=self.patience,
            refused=self._refused,
            unreachable=self._unreachable,
        )

    def _refused(self, answer: Posted) -> Refused:
        said, code = _said(answer.body)
        match answer.status:
            case 401 | 403:
                advice = (
                    "its credentials are missing or wrong: set [mlflow] token, or username and password, or "
                    "MLFLOW_TRACKING_TOKEN"
                )
            case 404 if not code:
                advice = "no MLflow server answers there: look up its address"
            case status if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                place = printable(answer.headers.get("location", "another address"))
                advice = f"it has moved to {place}: name that"
            case status if status in WORTH_RETRYING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                advice = "it is overloaded or failed: look into its log, then send again, which does no harm"
            case _:
                advice = "it did not take what was sent"
        message = f"{self.url} answered with {answer.status}{said}: {advice}"
        return Refused(message, code, answer.status, asked_to_wait(answer))

    def _unreachable(self, error: OSError | None) -> ExportError:
        return ExportError(f"{self.url} cannot be reached: {why_unreachable(error, self.timeout)}")


def server_of(
    url: str | None, experiment: str, settings: MlflowSettings, environ: Mapping[str, str]
) -> Server:
    """The server at `url`, of the settings, or of MLflow's own variables, in this order.

    Credentials go to the server that they were given for: those of the settings and of the environment to a `url` that
    was named here, too. Raises `ConfigError` where no server is named, and `InvalidInput` for what is no address, or no
    credential that a header can carry.
    """
    found = url or settings.url or environ.get("MLFLOW_TRACKING_URI", "")
    if not found:
        raise ConfigError(
            'no MLflow server is named: set [mlflow] url = "http://localhost:5000", or MLFLOW_TRACKING_URI'
        )
    name = experiment or settings.experiment or environ.get("MLFLOW_EXPERIMENT_NAME", "")
    headers = _credentials(settings, environ)
    # Before anything is asked: what refuses to send a header quotes it.
    check_headers(headers)
    return Server(_checked(found), name, headers)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good, parts = False, None
    if not is_good or parts is None or not url.isascii() or not url.isprintable():
        raise InvalidInput(f"{url!r} is no address of an MLflow server: write it like http://localhost:5000")
    if parts.username or parts.password:
        # The address is printed; a password in it would be too.
        raise InvalidInput(
            "the address of the MLflow server holds a password: give it as [mlflow] username and password instead"
        )
    return url.strip().rstrip("/")


def _credentials(settings: MlflowSettings, environ: Mapping[str, str]) -> dict[str, str]:
    if settings.token is not None:
        return {"authorization": f"Bearer {settings.token.resolve()}"}
    password = (
        environ.get("MLFLOW_TRACKING_PASSWORD", "")
        if settings.password is None
        else settings.password.resolve()
    )
    if user := settings.username or environ.get("MLFLOW_TRACKING_USERNAME", ""):
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"authorization": f"Basic {pair}"}
    token = environ.get("MLFLOW_TRACKING_TOKEN", "")
    return {"authorization": f"Bearer {token}"} if token else {}


def _api(version: Version, path: str) -> str:
    return f"/api/{version}/mlflow/{path}"


def part(found: object, *names: str) -> Any:
    """What an answer holds under these names, each below the one before. Raises `ExportError` where it holds none."""
    for name in names:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    if found is None:
        raise ExportError(
            f"what answered is no MLflow server that is known here: its answer has no {'.'.join(names)}; correct the "
            "address, or see what answers there"
        )
    return found


def fields(found: object, *names: str) -> dict[str, Any]:
    """The fields of what an answer holds under these names, each below the one before; none where it holds nothing."""
    for name in names:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def number(found: object, *names: str) -> int:
    """As `part`, and a whole number."""
    text = str(part(found, *names))
    if not (text.isascii() and text.isdecimal()):
        raise ExportError(
            f"what answered is no MLflow server that is known here: {'.'.join(names)} is no number"
        )
    return int(text)


def _id_of(found: dict[str, Any]) -> str:
    return str(part(found, "experiment", "experiment_id"))


def _json(answer: Posted) -> dict[str, Any]:
    try:
        found = orjson.loads(answer.body or b"{}")
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ExportError("what answered is no MLflow server: its answer is no JSON; correct the address")
    return cast("dict[str, Any]", found)


def _said(body: bytes) -> tuple[str, str]:
    """What an error says, for a message, and its name."""
    try:
        found = orjson.loads(body)
        text, code = str(found["message"]), str(found["error_code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "", ""
    return f" ({printable(text)})", code
