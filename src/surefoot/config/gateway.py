"""The settings of `surefoot serve --gateway`."""

from __future__ import annotations

from pydantic import Field

from surefoot.config.section import Names, Section


class GatewaySettings(Section):
    """The endpoint that clients of OpenAI and Anthropic speak to (`surefoot serve --gateway`)."""

    models: Names = Field(
        default=(),
        description="Which models may be asked for, as `openai:gpt-4o`, `openai:*` or an alias; without it every one "
        "of a connection that whoever asks may use. Those that are written out are listed by `GET /v1/models`.",
    )
    calls: int = Field(
        default=200,
        ge=1,
        description="How many calls are under way at a time; who comes when so many are is answered 503.",
    )
    client_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Seconds that a client may take to read what it is sent; then it counts as gone, and its call is "
        "ended.",
    )
