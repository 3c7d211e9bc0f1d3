"""Azure OpenAI's wire format as the local server speaks it: OpenAI's, under paths, keys and names of its own.

Paths are `/openai/deployments/NAME/chat/completions?api-version=...` (completions and embeddings likewise),
`/openai/responses?api-version=...`, and `/openai/v1/...`, which asks for no version and takes the deployment as the
model of the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wire_parts import Refused

PATH = re.compile(
    r"/openai/(?:deployments/(?P<deployment>[^/]+)/(?P<named>chat/completions|completions|embeddings|images/generations)"
    r"|(?P<v1>v1/)?(?P<plain>chat/completions|responses|embeddings|images/generations))"
)
VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?|preview|latest")
FILTERED = {
    kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")
}


def is_azure(path: str) -> bool:
    """Whether a path is one of this format."""
    return path.startswith("/openai/")


def error(refusal: Refused) -> dict[str, Any]:
    """The body of a refusal: Azure's own has a code and a message, that of the model is OpenAI's."""
    if refusal.param is None:
        return {"error": {"code": refusal.code or str(refusal.status), "message": refusal.message}}
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.kind,
            "param": refusal.param,
            "code": refusal.code,
        }
    }


def deployed(
    path: str,
    body: dict[str, Any],
    headers: Mapping[str, str],
    query: Mapping[str, str],
    deployments: Mapping[str, str],
) -> tuple[str, dict[str, Any]]:
    """OpenAI's path and body of a request, with the model that is deployed under the name; else `Refused`."""
    found = PATH.fullmatch(path)
    if found is None:
        raise Refused(404, "Resource not found")
    token = headers.get("authorization", "").removeprefix("Bearer ")
    key = headers.get("api-key", "") or token
    if not key or key == "wrong":
        raise Refused(
            401,
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
            "for an active subscription and use a correct regional API endpoint for your resource.",
        )
    version = query.get("api-version", "")
    if (version or found["v1"] is None) and not VERSION.fullmatch(version):
        raise Refused(404, "Resource not found")
    if found["deployment"] is None and not isinstance(body.get("model"), str):
        raise Refused(400, "Missing required parameter: 'model'.", "model")
    name = found["deployment"] or body["model"]
    if name not in deployments:
        raise Refused(
            404,
            "The API deployment for this resource does not exist. If you created the deployment within the last 5 "
            "minutes, please wait a moment and try again.",
            code="DeploymentNotFound",
        )
    return "/" + (found["named"] or found["plain"]), body | {"model": deployments[name]}


def filtered(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with what the content filter says of it."""
    if answer.get("object") != "chat.completion":
        return answer
    prompt = [{"prompt_index": 0, "content_filter_results": FILTERED}]
    choices = [choice | {"content_filter_results": FILTERED} for choice in answer["choices"]]
    return answer | {"choices": choices, "prompt_filter_results": prompt}


def first_event(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The event before the first of OpenAI's: it has the filter's results on the prompt, and no choice."""
    if answer.get("object") != "chat.completion":
        return None
    return {
        "id": "",
        "object": "",
        "created": 0,
        "model": "",
        "choices": [],
        "prompt_filter_results": answer["prompt_filter_results"],
    }
