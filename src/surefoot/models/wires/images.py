"""Pictures that a model makes: how OpenAI, Azure and servers of their format are asked, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from surefoot.models.wires.fields import answer_of, items, text
from surefoot.values import Image, Json

_KINDS = {"jpeg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class OpenAIImages:
    """`images/generations`. What a picture is to be like (`size`, `quality`, `n`) is for the prompt to say."""

    operation: str = "openai.images"

    def path(self) -> str:
        """Where it is sent to, below the endpoint's base URL."""
        return "/images/generations"

    def body(self, prompt: str, model: str) -> dict[str, Json]:
        """The request for pictures of what `prompt` says."""
        return {"model": model, "prompt": prompt}

    def read(self, body: Mapping[str, Json]) -> tuple[Image, ...]:
        """The pictures in their order: where each lies, or itself as a `data:` URL. Raises `ValueError`."""
        answer = answer_of(body)
        kind = _KINDS.get(text(answer, "output_format"), "image/png")
        found = [self._image(one, kind) for one in items(answer, "data")]
        if not found:
            raise ValueError("the answer has no pictures")
        return tuple(found)

    def _image(self, one: Mapping[str, Json], kind: str) -> Image:
        if url := text(one, "url"):
            return Image(url=url)
        if packed := text(one, "b64_json"):
            return Image(url=f"data:{kind};base64,{packed}")
        raise ValueError("a picture of the answer has neither a url nor its bytes")
